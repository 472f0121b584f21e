"""Events that a sink or subscriber permanently refused: list and replay."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.context import Context
from czo_auth.core.events.outbox import DeadLetter
from czo_auth.core.events.types import EVENTS_REPLAYED, AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction


class DeadLetters:
    """Lists and replays dead-lettered events."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list(
        self, *, sink: str | None = None, after: tuple[int, str] = (0, ""), limit: int
    ) -> Sequence[DeadLetter]:
        """List dead letters beyond *after* (sequence and sink), oldest first; of one sink if given."""
        return await self._services.transactions.read(
            lambda tx: tx.outbox.dead_letters(sink=sink, after=after, limit=limit)
        )

    async def replay(self, *, sink: str | None, event_id: str | None, context: Context) -> int:
        """
        Request the replay of dead letters: all, or those of a sink or an event.

        The process that serves the sink does it within a second. Delivered events are no longer dead letters; refused
        ones still are.

        Returns:
            How many; those already requested do not count.
        """

        def replay_letters(tx: Transaction) -> int:
            count = tx.outbox.replay(sink=sink, event_id=event_id, now=tx.now)
            if count:
                details = {"count": count, "sink": sink, "eventId": event_id}
                tx.record(AuditEvent(action=EVENTS_REPLAYED, details=details))
            return count

        return await self._services.transactions.run(replay_letters, context)
