"""The port through which facts are recorded, read and delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from czo_auth.core.events.types import AuditFilter, AuditRecord, Event, Fact
from czo_auth.core.provenance import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkState:
    """
    How far one sink has come.

    Attributes:
        behind: How many events wait for it.
        oldest_waiting_at: When the first of them was recorded; None when none waits.
        leased_until: Until when a process serves it; None when none does.
        parked: How many events it refused.
    """

    name: str
    behind: int
    oldest_waiting_at: datetime | None
    leased_until: datetime | None
    parked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """The events that are kept, and every sink that was ever served."""

    events: int
    sinks: Sequence[SinkState]


class Journal(Protocol):
    """
    The outbox and the audit log, written in the transaction of the change (S34, S35).

    Promise: what a transaction records becomes visible with its change or not at all, and sequence numbers grow in the
    order of the commits, so that a reader that remembers the last number it saw misses nothing.
    """

    def record(self, fact: Fact, *, provenance: Provenance, now: datetime) -> None:
        """Write *fact* to the audit log and, when its action is an event type, to the outbox."""

    def events_after(self, sequence: int, *, limit: int) -> Sequence[Event]:
        """Read events beyond *sequence*, oldest first."""

    def events_before(self, sequence: int | None, *, limit: int, event_type: str | None) -> Sequence[Event]:
        """Read events below *sequence* (None: from the end), newest first, of one type if given."""

    def audit_after(self, sequence: int, *, limit: int) -> Sequence[AuditRecord]:
        """Read audit records beyond *sequence*, oldest first."""

    def audit_before(
        self, sequence: int | None, matching: AuditFilter, *, limit: int
    ) -> Sequence[AuditRecord]:
        """Read audit records below *sequence* (None: from the end) that match, newest first."""

    def audit_above(self, sequence: int, matching: AuditFilter, *, limit: int) -> Sequence[AuditRecord]:
        """Read the nearest audit records above *sequence* that match, newest first."""

    def count_audit(self, matching: AuditFilter) -> int:
        """Count the audit records that match."""

    def claim_sink(self, sink: str, *, owner: str, until: datetime, now: datetime) -> int | None:
        """
        Take or extend the lease on *sink* for *owner*.

        One atomic statement: two owners never hold it at once.

        Returns:
            The last sequence delivered, or None when another owner holds an unexpired lease.
        """

    def advance_sink(self, sink: str, *, owner: str, sequence: int) -> bool:
        """Remember that *sink* has everything up to *sequence*; False when the lease was lost."""

    def release_sink(self, sink: str, *, owner: str) -> None:
        """Give the lease back, so that another process may take over at once."""

    def park(self, sink: str, event: Event, *, error: str, now: datetime) -> None:
        """Put aside an event that *sink* refuses for its content, so that those behind it go on."""

    def parked(self, *, limit: int) -> Sequence[tuple[str, Event, str]]:
        """Read the events put aside, as ``(sink, event, error)``."""

    def outbox(self) -> OutboxState:
        """Tell how far each sink has come, and what was put aside."""

    def prune_events(self, *, before: datetime) -> int:
        """Delete events older than *before* that every known sink has had; answer how many."""
