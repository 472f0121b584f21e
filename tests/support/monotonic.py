"""A clock in place of the module `time`, for code that measures how long something takes and pauses."""

from __future__ import annotations

import time


class MonotonicClock:
    """
    It moves by what the test says that something takes, and by pauses, which end at once.

    Attributes:
        seconds: What it shows.
        pauses: How long each pause was, in seconds.
    """

    def __init__(self) -> None:
        self.seconds = time.monotonic()
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        """Read the clock."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Pause for no real time."""
        self.seconds += seconds
        self.pauses.append(seconds)
