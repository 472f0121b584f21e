"""Lifetimes of keys: the maximum lifetime, when owners are notified of an expiry, and the expiry of unused keys."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.errors import LifetimeTooLong, ValidationFailed
from czo_auth.core.limits import MAX_KEY_DAYS

NOTICE_DAYS: Final = (30, 7, 1)
"""Days before the expiry of a key on which its owner is notified, the earliest notice first."""


UNUSED_MARGIN: Final = timedelta(hours=1)
"""The longest that a use may take to get from the memory of a process to the database; usually it takes seconds."""

_DAY: Final = timedelta(days=1)
_MAX_WARNING: Final = timedelta(days=7)


def shorter(one: int | None, other: int | None) -> int | None:
    """Return the smaller number of days; None is no bound."""
    bounds = [days for days in (one, other) if days is not None]
    return min(bounds, default=None)


def bounded_end(requested: datetime | None, *, longest_days: int | None, since: datetime) -> datetime | None:
    """
    Return the expiry of a key whose lifetime began at *since*; without a requested expiry it gets the maximum lifetime.

    Raises:
        LifetimeTooLong: The requested expiry exceeds it.
    """
    if longest_days is None:
        return requested
    end = since + timedelta(days=longest_days)
    if requested is not None and requested > end:
        unit = "day" if longest_days == 1 else "days"
        raise LifetimeTooLong(details=(("expiresAt", f"A key lives at most {longest_days} {unit} here."),))
    return end if requested is None else requested


def notice_within(expires_at: datetime | None, *, now: datetime) -> int | None:
    """
    Return the least of `NOTICE_DAYS` within which a key ends.

    That is the notice that is due. When the expiry was just set, that notice counts as already sent: the owner of a
    five-day key is notified on the last day only.
    """
    if expires_at is None:
        return None
    passed = [days for days in NOTICE_DAYS if expires_at <= now + timedelta(days=days)]
    return min(passed, default=None)


def days_left(end: datetime, *, now: datetime) -> int:
    """Count the days until *end*, rounded up."""
    return max(0, math.ceil((end - now) / _DAY))


def warning_before_disuse(unused_days: int) -> timedelta:
    """
    Return how long before an unused key expires its owner is warned: a week, or half of a period shorter than two
    weeks.
    """
    return min(_MAX_WARNING, timedelta(days=unused_days) / 2)


def checked_days(days: int | None, *, field: str) -> int | None:
    """
    Return *days* if they are within bounds; None means no bound.

    Raises:
        ValidationFailed: It is out of bounds.
    """
    if days is not None and not 1 <= days <= MAX_KEY_DAYS:
        raise ValidationFailed(details=((field, f"From 1 to {MAX_KEY_DAYS} days, or null for no bound."),))
    return days
