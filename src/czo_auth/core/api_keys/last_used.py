"""When keys were last used: gathered in memory, written in batches, off every request's path (S19)."""

from __future__ import annotations

from datetime import datetime, timedelta

RESOLUTION = timedelta(minutes=1)
_MAX_COUNT = 100_000


class LastUsed:
    """
    Newest use of each key since the last flush.

    A key is noted at most once a minute, so a busy key costs one dictionary probe a request.
    """

    def __init__(self) -> None:
        self._seen: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}

    def saw(self, key_id: str, *, stored: datetime | None, now: datetime) -> None:
        """Note a use at *now*; *stored* is what the database said when the key was read."""
        known = self._noted.get(key_id)
        if stored is not None and (known is None or known < stored):
            # Another process noted it, or this one before it was started again.
            self._note(key_id, stored)
            known = stored
        if known is not None and now - known < RESOLUTION:
            return
        self._note(key_id, now)
        self._seen[key_id] = now

    def _note(self, key_id: str, at: datetime) -> None:
        if len(self._noted) >= _MAX_COUNT:
            self._noted.clear()
        self._noted[key_id] = at

    def take(self) -> dict[str, datetime]:
        """Hand over what was gathered, and begin again."""
        seen, self._seen = self._seen, {}
        return seen

    def give_back(self, seen: dict[str, datetime]) -> None:
        """Take back what could not be written; newer uses win."""
        if len(self._seen) < _MAX_COUNT:
            self._seen = seen | self._seen
