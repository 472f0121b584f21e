"""Text that strangers wrote, made fit for a line of a log (S29), and times as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Controls, what reorders or hides what stands around it, line and paragraph separators, tags, lone surrogates. The
# joiners U+200C and U+200D stay: Persian and Indic names need them, and they hide nothing.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def is_unsafe(text: str) -> bool:
    """Whether *text* holds characters that could forge, reorder or hide what is beside them."""
    return _UNSAFE.search(text) is not None


def escape_control(text: str, *, limit: int = 256) -> str:
    """
    Write the characters of *text* that could forge, reorder or hide a line as escapes, and cut it.

    Applying it to its own answer changes nothing, so that a text may be escaped twice. Backslashes are
    left alone for that reason: the answer is for reading, not for turning back.

    Args:
        limit: The answer has at most so many characters; what was cut ends in an ellipsis.
    """
    if len(text) <= limit and _UNSAFE.search(text) is None:
        return text
    # A text can be a megabyte; what lies beyond the limit is not looked at.
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
