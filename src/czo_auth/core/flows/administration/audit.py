"""Reading events and audit records, and verifying that the audit log is intact (S35)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from czo_auth.core.events.chain import ChainState, follow_chain
from czo_auth.core.events.types import AuditFilter, AuditRecord, Event, EventFilter
from czo_auth.core.flows.administration.audit_retention import newest_cut
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction

BATCH: Final = 500
_ALL_EVENTS: Final = EventFilter()
_ALL_RECORDS: Final = AuditFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerdict:
    """
    Attributes:
        records: How many were looked at.
        broken_at: Sequence of the first that does not continue the chain; None when all do.
        last_hash: The hash of the last record that does. Stored elsewhere, it later shows whether the end was cut off.
        cut_through: Sequence of the last record that retention removed; 0 when it removed none.
    """

    records: int
    broken_at: int | None
    last_hash: str
    cut_through: int = 0


class ReadAuditLog:
    """Reads in batches, so that a long log neither fills memory nor holds a snapshot open."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def events(
        self, after: int = 0, *, matching: EventFilter = _ALL_EVENTS
    ) -> AsyncIterator[Sequence[Event]]:
        """Return the events beyond *after* that match, oldest first, batch by batch."""
        while batch := await self._services.transactions.read(partial(_events, after, matching)):
            yield batch
            after = batch[-1].sequence

    async def audit(
        self, after: int = 0, *, matching: AuditFilter = _ALL_RECORDS
    ) -> AsyncIterator[Sequence[AuditRecord]]:
        """Return the audit records beyond *after* that match, oldest first, batch by batch."""
        while batch := await self._services.transactions.read(partial(_audit, after, matching)):
            yield batch
            after = batch[-1].sequence

    async def before_newest_events(self, count: int, *, matching: EventFilter) -> int:
        """Return the sequence beyond which the newest *count* of the matching events are."""
        return await self._services.transactions.read(
            lambda tx: _before_newest(tx.outbox.events_before(None, limit=count, matching=matching))
        )

    async def before_newest_records(self, count: int, *, matching: AuditFilter) -> int:
        """Return the sequence beyond which the newest *count* of the matching audit records are."""
        return await self._services.transactions.read(
            lambda tx: _before_newest(tx.audit_log.audit_before(None, matching, limit=count))
        )

    async def verify_audit(
        self, advance: Callable[[int, int], None] = lambda done, total: None
    ) -> ChainVerdict:
        """
        Follow the hashes from the first record to the last.

        Args:
            advance: Called with the number of records checked so far and the number at the start.
        """
        total = await self._services.transactions.read(lambda tx: tx.audit_log.count_audit(AuditFilter()))
        records, last, cut_through, state = 0, 0, 0, ChainState()
        async for batch in self.audit():
            if batch[0].sequence != last + 1:
                # Retention removed earlier records, perhaps during this check.
                through, after_cut = await self._services.transactions.read(newest_cut)
                if through == batch[0].sequence - 1:
                    cut_through, state = through, after_cut
            records += len(batch)
            advance(records, max(records, total))
            state, broken_at = follow_chain(batch, state)
            if broken_at is not None:
                return ChainVerdict(
                    records=records, broken_at=broken_at, last_hash=state.hash, cut_through=cut_through
                )
            last = batch[-1].sequence
        return ChainVerdict(records=records, broken_at=None, last_hash=state.hash, cut_through=cut_through)


def _events(after: int, matching: EventFilter, tx: Transaction) -> Sequence[Event]:
    return tx.outbox.events_after(after, limit=BATCH, matching=matching)


def _audit(after: int, matching: AuditFilter, tx: Transaction) -> Sequence[AuditRecord]:
    return tx.audit_log.audit_above(after, matching, limit=BATCH)[::-1]


def _before_newest(newest_first: Sequence[Event] | Sequence[AuditRecord]) -> int:
    return newest_first[-1].sequence - 1 if newest_first else 0
