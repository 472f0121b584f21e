"""Timestamp formatting: exact for API responses, relative for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

RelativeUnit = Literal["minutes", "hours", "days", "months", "years"]
_UNITS: Final[tuple[tuple[RelativeUnit, int, int], ...]] = (
    # The unit, its seconds, and how many of it are written before the next one is.
    ("minutes", 60, 60),
    ("hours", 3600, 24),
    ("days", 86_400, 31),
    ("months", 2_629_746, 12),
)


def format_timestamp(at: datetime) -> str:
    """Write a time as ``YYYY-MM-DDTHH:MM:SS.mmmZ``; six digits are misread by JavaScript clients."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def format_timestamp_or_none(at: datetime | None) -> str | None:
    """Write a time, if there is one."""
    return None if at is None else format_timestamp(at)


def relative_time(at: datetime, *, now: datetime) -> tuple[int, RelativeUnit]:
    """
    Return how far *at* lies from *now*, in the largest unit of which at least one has passed, rounded down.

    Returns:
        Below zero for the past, above for the future; 0 minutes for less than a minute.
    """
    seconds = int((at - now).total_seconds())
    sign = -1 if seconds < 0 else 1
    for unit, size, most in _UNITS:
        count = abs(seconds) // size
        if count < most:
            # The first days of a month are no month yet, and no unit is written with none of it.
            return sign * max(count, 0 if unit == "minutes" else 1), unit
    return sign * max(1, abs(seconds) // 31_556_952), "years"
