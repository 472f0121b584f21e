"""How long keys live: the longest life, the days before the end on which owners are told, and the end for disuse."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.errors import LifetimeTooLong, ValidationFailed
from czo_auth.core.limits import MAX_KEY_DAYS

NOTICE_DAYS: Final = (30, 7, 1)
"""Days before its expiry on which the owner of a key is told, the farthest first."""


UNUSED_MARGIN: Final = timedelta(hours=1)
"""What a use may take to reach the database from the memory of any process; usually it is seconds."""

_DAY: Final = timedelta(days=1)
_MAX_WARNING: Final = timedelta(days=7)


def shorter(one: int | None, other: int | None) -> int | None:
    """Return the smaller number of days; None is no bound."""
    bounds = [days for days in (one, other) if days is not None]
    return min(bounds, default=None)


def bounded_end(wished: datetime | None, *, longest_days: int | None, since: datetime) -> datetime | None:
    """
    Return the end of a key whose life began at *since*; one for which none is wished gets the longest life.

    Raises:
        LifetimeTooLong: The wished end lies beyond.
    """
    if longest_days is None:
        return wished
    end = since + timedelta(days=longest_days)
    if wished is not None and wished > end:
        unit = "day" if longest_days == 1 else "days"
        raise LifetimeTooLong(details=(("expiresAt", f"A key lives at most {longest_days} {unit} here."),))
    return end if wished is None else wished


def notice_within(expires_at: datetime | None, *, now: datetime) -> int | None:
    """
    Return the least of `NOTICE_DAYS` within which a key ends.

    That is the notice that is due. When the end was set just now, it is the one that counts as given: the owner of a
    key for five days is notified on the last day only.
    """
    if expires_at is None:
        return None
    passed = [days for days in NOTICE_DAYS if expires_at <= now + timedelta(days=days)]
    return min(passed, default=None)


def days_left(end: datetime, *, now: datetime) -> int:
    """Count the days until *end*, begun ones as whole."""
    return max(0, math.ceil((end - now) / _DAY))


def warning_before_disuse(unused_days: int) -> timedelta:
    """Return how long before the end for disuse the owner is told: a week, or half of a time shorter than two."""
    return min(_MAX_WARNING, timedelta(days=unused_days) / 2)


def checked_days(days: int | None, *, field: str) -> int | None:
    """
    Return a number of days back; None is no bound.

    Raises:
        ValidationFailed: It is out of bounds.
    """
    if days is not None and not 1 <= days <= MAX_KEY_DAYS:
        raise ValidationFailed(details=((field, f"From 1 to {MAX_KEY_DAYS} days, or null for no bound."),))
    return days
