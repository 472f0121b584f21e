"""Refusals that anyone can cause as often as they like are recorded occasionally, not each time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.limits import MAX_RECORDED_REFUSALS

RECORDED_EVERY: Final = timedelta(hours=1)


class RecordThrottle:
    """
    Remembers what was recorded within the last hour, in this process.

    It holds at most `MAX_RECORDED_REFUSALS` entries, and drops the oldest ones.
    """

    def __init__(self) -> None:
        self._recorded: OrderedDict[Hashable, datetime] = OrderedDict()

    def claim(self, what: Hashable, *, now: datetime) -> bool:
        """Whether *what* is to be recorded now; it then counts as recorded."""
        last = self._recorded.get(what)
        if last is not None and last <= now < last + RECORDED_EVERY:
            return False
        self._recorded.pop(what, None)
        while len(self._recorded) >= MAX_RECORDED_REFUSALS:
            self._recorded.popitem(last=False)
        self._recorded[what] = now
        return True

    def forget(self, what: Hashable) -> None:
        """Allow *what* to be recorded next time, because recording it failed."""
        self._recorded.pop(what, None)
