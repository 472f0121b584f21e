"""The clock of a test's deployment: the public one, with shorter words for what tests do most."""

from __future__ import annotations

from datetime import datetime, timedelta

from czo_auth.testing.clock import MovableClock


class Clock(MovableClock):
    """A movable clock, which a test also sets by ``now`` and moves by ``advance(minutes=5)``."""

    @property
    def now(self) -> datetime:
        return self()

    @now.setter
    def now(self, at: datetime) -> None:
        self.move_to(at)

    def advance(self, **by: float) -> None:
        """Move by the units of `timedelta`."""
        self.move(timedelta(**by))
