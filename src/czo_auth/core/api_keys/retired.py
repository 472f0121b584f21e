"""
Formats of API keys that another system issued: accepted until a date, never issued here.

Such a key is found by the digest that the other system stored: the SHA-256 of its exact text, as for our keys.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from czo_auth.core.limits import MAX_RETIRED_KEY_FORMATS, MAX_RETIRED_KEY_LENGTH, MIN_RETIRED_KEY_SECRET

_PREFIX = re.compile(r"[A-Za-z0-9]{3,32}[_-]")
_REST = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredKeyFormat:
    """
    One form.

    Attributes:
        prefix: Three or more letters or digits and a separator.
        length: Of the whole key, in characters; exact.
        ends_at: From then on no key of this format is accepted, whatever its own expiry.
    """

    prefix: str
    length: int
    ends_at: datetime

    @classmethod
    def parse(cls, text: str) -> RetiredKeyFormat:
        """
        Read ``prefix:length:date``, like ``shop_:69:2027-06-30``; the form ends when that day begins, in UTC.

        Raises:
            ValueError: It is not valid; the message says why.
        """
        prefix, _, rest = text.partition(":")
        length, _, day = rest.partition(":")
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("a prefix has 3 to 32 letters or digits, then - or _")
        if not length.isascii() or not length.isdecimal() or int(length) > MAX_RETIRED_KEY_LENGTH:
            raise ValueError(f"a length is a number up to {MAX_RETIRED_KEY_LENGTH}")
        if int(length) - len(prefix) < MIN_RETIRED_KEY_SECRET:
            raise ValueError(f"after its prefix a key has at least {MIN_RETIRED_KEY_SECRET} characters")
        try:
            ends = date.fromisoformat(day)
        except ValueError:
            raise ValueError("a date is like 2027-06-30") from None
        return cls(
            prefix=prefix, length=int(length), ends_at=datetime(ends.year, ends.month, ends.day, tzinfo=UTC)
        )

    def accepts(self, key: str, *, now: datetime) -> bool:
        """Whether *key* has exactly this format, and the format is still accepted."""
        return (
            len(key) == self.length
            and key.startswith(self.prefix)
            and _REST.fullmatch(key, len(self.prefix)) is not None
            and now < self.ends_at
        )


def check_formats(formats: Sequence[RetiredKeyFormat], *, taken: Collection[str]) -> None:
    """
    Refuse formats whose keys could be mistaken for another credential: dispatch looks at the prefix only.

    Args:
        taken: Prefixes of our own credentials.

    Raises:
        ValueError: There are too many, or one prefix begins with another or with that of a JWT.
    """
    if len(formats) > MAX_RETIRED_KEY_FORMATS:
        raise ValueError(f"there are at most {MAX_RETIRED_KEY_FORMATS}")
    for number, each in enumerate(formats):
        others = {*taken, "eyJ", *(other.prefix for other in formats[:number])}
        for other in sorted(others):
            if each.prefix.startswith(other) or other.startswith(each.prefix):
                raise ValueError(f"the prefix {each.prefix} cannot be distinguished from {other}")
