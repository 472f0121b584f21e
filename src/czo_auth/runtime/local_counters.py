"""
Counters with a moving window in this process: constant time per hit and bounded memory, regardless of the number of
clients.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from czo_auth.core.limits import MAX_LIMIT_COUNTERS


@dataclass(frozen=True, slots=True)
class Limit:
    """
    A number of hits in any window.

    Attributes:
        amount: The hits that are allowed.
        multiples: The length of the window, in *unit*.
        unit: Part of the name under which shared counters keep it, as the length is.
    """

    amount: int
    multiples: int
    unit: Literal["second", "minute"] = "minute"

    @property
    def seconds(self) -> int:
        """The length of the window."""
        return self.multiples * (60 if self.unit == "minute" else 1)


@dataclass(slots=True)
class _Window:
    """
    What was counted in the present window and in the previous one.

    Attributes:
        index: The number of the present window, counted from 1970.
        seconds: Its length.
    """

    index: int
    seconds: int
    present: int = 0
    before: int = 0

    def move_to(self, index: int) -> None:
        """Begin the window *index*."""
        self.before = self.present if index == self.index + 1 else 0
        self.index, self.present = index, 0

    def weighted(self, now: float) -> int:
        """Return what counts now: of the window before, the share that the moving window still covers."""
        covered = 1 - (now % self.seconds) / self.seconds
        return int(self.before * covered) + self.present


@dataclass(frozen=True, slots=True)
class WindowStats:
    """
    Attributes:
        reset_time: When some of a limit is free again, in seconds since 1970.
        remaining: What is free now.
    """

    reset_time: float
    remaining: int


class LocalCounters:
    """
    Counts like the shared counters do, as two fixed windows that approximate a moving one.

    Args:
        clock: Gives seconds since 1970.
        max_counters: Counters that are kept.
    """

    def __init__(self, *, clock: Callable[[], float], max_counters: int = MAX_LIMIT_COUNTERS) -> None:
        self._max_counters = max_counters
        self._clock = clock
        self._windows: OrderedDict[tuple[str, ...], _Window] = OrderedDict()

    async def hit(self, limit: Limit, *key: str) -> bool:
        """Count once; False, and nothing is counted, when *limit* is used up."""
        now = self._clock()
        window = self._window(limit, key, now)
        if window.weighted(now) + 1 > limit.amount:
            return False
        window.present += 1
        return True

    async def get_window_stats(self, limit: Limit, *key: str) -> WindowStats:
        """Return what is left of *limit*, and when some of it is free again."""
        now = self._clock()
        window = self._window(limit, key, now)
        free_now = limit.amount - window.weighted(now)
        if free_now >= 1:
            return WindowStats(now, free_now)
        begin = window.index * window.seconds
        if window.present >= limit.amount:
            # Not in the current window. In the next one, a decreasing share of the current count still counts.
            begin, counted, free = begin + window.seconds, window.present, limit.amount
        else:
            counted, free = window.before, limit.amount - window.present
        return WindowStats(begin + max(0.0, 1 - free / counted) * window.seconds, 0)

    def _window(self, limit: Limit, key: tuple[str, ...], now: float) -> _Window:
        seconds = limit.seconds
        index, place = int(now // seconds), (*key, str(limit.amount), str(seconds))
        window = self._windows.get(place)
        if window is None:
            self._make_room(now)
            window = self._windows[place] = _Window(index, seconds)
        elif window.index != index:
            window.move_to(index)
            self._windows.move_to_end(place)
        return window

    def _make_room(self, now: float) -> None:
        """Drop up to two expired counters from the front, and one live counter if there are too many."""
        for _ in range(2):
            oldest = next(iter(self._windows.values()), None)
            if oldest is None or now < (oldest.index + 2) * oldest.seconds:
                break
            self._windows.popitem(last=False)
        if len(self._windows) >= self._max_counters:
            self._windows.popitem(last=False)
