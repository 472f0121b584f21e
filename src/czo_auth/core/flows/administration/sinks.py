"""Sinks: the progress of each, and deleting one that is gone."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.context import Context
from czo_auth.core.errors import Conflict, NotFound
from czo_auth.core.events.outbox import SinkState
from czo_auth.core.events.types import SINK_RETIRED, AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction


class ManageSinks:
    """Lists the sinks that were ever served, and deletes those that no process serves any more."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list(self) -> Sequence[SinkState]:
        """List every sink by name, with what waits for it."""
        return (await self._services.transactions.read(lambda tx: tx.outbox.state())).sinks

    async def retire(self, name: str, *, context: Context) -> None:
        """
        Delete a sink: events no longer wait for it. If it comes back, it starts with the oldest stored event.

        Raises:
            NotFound: There is no sink with this name.
            Conflict: A process serves it at the moment.
        """

        def retire_sink(tx: Transaction) -> None:
            if not any(sink.name == name for sink in tx.outbox.state().sinks):
                raise NotFound
            if not tx.outbox.retire_sink(name, now=tx.now):
                raise Conflict
            tx.record(AuditEvent(action=SINK_RETIRED, details={"sink": name}))

        await self._services.transactions.run(retire_sink, context)
