"""Making untrusted text safe for a log line (S29), and times as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Literal

# Controls, characters that reorder or hide adjacent text, line and paragraph separators, tags, lone surrogates. The
# joiners U+200C and U+200D stay: Persian and Indic names need them, and they hide nothing.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

RelativeUnit = Literal["minutes", "hours", "days", "months", "years"]
_UNITS: Final[tuple[tuple[RelativeUnit, int, int], ...]] = (
    # The unit, its length in seconds, and the number from which the next larger unit is used.
    ("minutes", 60, 60),
    ("hours", 3600, 24),
    ("days", 86_400, 31),
    ("months", 2_629_746, 12),
)


def is_unsafe(text: str) -> bool:
    """Whether *text* contains characters that could forge, reorder or hide adjacent text."""
    return _UNSAFE.search(text) is not None


def escape_control(text: str, *, limit: int = 256) -> str:
    """
    Escape the characters of *text* that could forge, reorder or hide a line, and truncate it.

    It is idempotent, so that a text may be escaped twice. For that reason backslashes are not escaped: the result is
    for reading, and cannot be reversed.

    Args:
        limit: Maximum number of characters of the result; text that was cut ends in an ellipsis.
    """
    if len(text) <= limit and _UNSAFE.search(text) is None:
        return text
    # A text can be a megabyte; anything beyond the limit is not examined.
    pieces = [_UNSAFE.sub(_escape, character) for character in text[:limit]]
    if len(text) <= limit and sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    room = limit - 1
    kept = []
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def _escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def iso_timestamp(at: datetime) -> str:
    """Write a time as ``YYYY-MM-DDTHH:MM:SS.mmmZ``, in UTC."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def relative_time(at: datetime, *, now: datetime) -> tuple[int, RelativeUnit]:
    """
    Return how far *at* lies from *now*, in the largest unit that fits at least once.

    The past is rounded down. The future is rounded to the nearest, so that a week that began a second ago is a week.

    Returns:
        Negative for the past, positive for the future; 0 minutes for less than a minute.
    """
    seconds = int((at - now).total_seconds())
    sign = -1 if seconds < 0 else 1
    for unit, size, limit in _UNITS:
        count = (abs(seconds) + (size // 2 if sign > 0 else 0)) // size
        if count < limit:
            # Use the largest unit that fits at least once.
            return sign * max(count, 0 if unit == "minutes" else 1), unit
    return sign * max(1, abs(seconds) // 31_556_952), "years"
