"""A clock that does not advance until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from czo_auth.runtime.clock import utc_now


class MovableClock:
    """
    A clock for ``Auth(settings, clock=…)``.

    Args:
        start: Its first time, with a time zone; by default the present.

    Raises:
        ValueError: *start* has no time zone.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._now = utc_now()
        if start is not None:
            self.move_to(start)

    def __call__(self) -> datetime:
        """Return the time, in UTC."""
        return self._now

    def move(self, by: timedelta) -> datetime:
        """Move forward, or back if *by* is negative; return the new time."""
        return self.move_to(self._now + by)

    def move_to(self, at: datetime) -> datetime:
        """
        Set the time to *at*; return it as stored, to the millisecond and in UTC.

        Raises:
            ValueError: *at* has no time zone.
        """
        if at.tzinfo is None:
            raise ValueError("a clock goes to an aware time, e.g. datetime(2026, 1, 1, tzinfo=UTC)")
        at = at.astimezone(UTC)
        self._now = at.replace(microsecond=at.microsecond // 1000 * 1000)
        return self._now
