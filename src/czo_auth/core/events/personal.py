"""
The personal parts of an audit record, stored separately so that they can be removed without breaking the chain (S43).

A record has two personal parts, which can belong to two people: the *origin* (address and browser of the actor) and the
personal details (names and email addresses of the user concerned). The chain hashes a salted commitment of each.
Without value and salt, a commitment reveals nothing, even if there are few possible values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from czo_auth.crypto import tokens

SALT_BYTES: Final = 16

# One encoder: json.dumps makes a new one for each call with options, and an audit record needs several.
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)

PERSONAL_DETAILS: Final = frozenset(
    {
        "name",
        "slug",
        "email",
        "newEmail",
        "previousEmail",
        "ip",
        "ipAddress",
        "userAgent",
        "place",
        "description",
    }
)
"""
Keys of details that can identify a person. Each record stores which of its details are personal, so keys may be added.
"""

PERSONAL_IN_VERSION_1: Final = frozenset({"name", "slug", "email"})
"""The same for records from before commitments. Must never change, because a digest depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """
    Attributes:
        digest: What the chain hashes in place of the value; None when there never was a value.
        salt: None when the value was removed.
    """

    digest: str | None = None
    salt: str | None = None

    @classmethod
    def of(cls, value: Mapping[str, object]) -> Commitment:
        """Commit to *value* with a new salt; an empty one needs no commitment."""
        if not value:
            return cls()
        salt = tokens.random_bytes(SALT_BYTES).hex()
        return cls(digest=_digest(salt, value), salt=salt)

    def fits(self, value: Mapping[str, object]) -> bool:
        """Whether *value* matches the commitment, or was removed together with the salt."""
        if self.salt is None:
            return not value
        return self.digest == _digest(self.salt, value)


NO_COMMITMENT: Final = Commitment()
"""Of a personal part that is empty."""


def canonical_json(value: Mapping[str, object]) -> str:
    """
    Write *value* as JSON, always with the same text: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: It holds NaN or an infinity, which are not JSON.
    """
    return _ENCODER.encode(dict(value))


def split_details(
    details: Mapping[str, object], *, personal: frozenset[str] = PERSONAL_DETAILS
) -> tuple[dict[str, object], dict[str, object]]:
    """Split details into those that stay and those that can identify a person."""
    stay = {key: value for key, value in details.items() if key not in personal}
    return stay, {key: value for key, value in details.items() if key in personal}


def origin_of(ip: str | None, user_agent: str | None) -> dict[str, object]:
    """Return the known parts of the origin as a value to commit to."""
    known = {"ip": ip, "userAgent": user_agent}
    return {key: value for key, value in known.items() if value is not None}


def _digest(salt: str, value: Mapping[str, object]) -> str:
    return tokens.digest_bytes(f"{salt}\n{canonical_json(value)}".encode("ascii"))
