"""When sessions were last used: collected in memory and written in batches, outside of requests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

RESOLUTION: Final = timedelta(minutes=1)
_MAX_COUNT: Final = 100_000


class SessionUses:
    """
    The latest use of each session in this process.

    Args:
        idle: How long a session may go unused, if that is limited. Other processes learn of a use within a tenth of it.
    """

    def __init__(self, *, idle: timedelta | None = None) -> None:
        self.idle = idle
        self._every = RESOLUTION if idle is None else min(RESOLUTION, idle / 10)
        self._latest: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._seen: dict[str, datetime] = {}

    def record_use(self, session_id: str, *, now: datetime) -> None:
        """Record a use at *now*; the database is updated only now and then."""
        if len(self._latest) >= _MAX_COUNT:
            self._latest.clear()
            self._noted.clear()
        self._latest[session_id] = now
        noted = self._noted.get(session_id)
        if noted is None or now - noted >= self._every:
            self._noted[session_id] = self._seen[session_id] = now

    def is_idle(self, session_id: str, *, stored: datetime | None, now: datetime) -> bool:
        """Whether a session was unused for too long; *stored* is its last use according to the database."""
        if self.idle is None:
            return False
        uses = [at for at in (stored, self._latest.get(session_id)) if at is not None]
        return bool(uses) and max(uses) + self.idle <= now

    def take(self) -> dict[str, datetime]:
        """Return what was collected and start over."""
        seen, self._seen = self._seen, {}
        return seen

    def give_back(self, seen: dict[str, datetime]) -> None:
        """Take back what could not be written; newer uses win."""
        if len(self._seen) < _MAX_COUNT:
            self._seen = seen | self._seen
