"""The audit log and the outbox, in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from czo_auth.core.context import Context
from czo_auth.core.events.chain import GENESIS
from czo_auth.core.events.store import OutboxState, SinkState
from czo_auth.core.events.types import (
    EVENT_TYPES,
    REFRESH_REUSE_DETECTED,
    TWO_FACTOR_LOCKED,
    AuditEvent,
    AuditFilter,
    AuditRecord,
    Event,
)
from czo_auth.core.ids import new_id
from czo_auth.storage.audit_rows import Entry, audit_record, chained_row, without_erased
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns
from czo_auth.storage.tables import Tables

ALARMS = frozenset({TWO_FACTOR_LOCKED, REFRESH_REUSE_DETECTED})
"""Events that are about a failure, and so are delivered whatever the outcome says."""


class SqlAuditLog(Store):
    """
    Implements `czo_auth.core.events.store.Journal`.

    What is recorded waits in memory until `flush`, the last act before the commit: numbers grow in the order of the
    commits only while one transaction at a time gives them out, and that time should be short.
    """

    def __init__(self, connection: Connection, tables: Tables) -> None:
        super().__init__(connection, tables)
        self._entries: list[Entry] = []

    def record(self, audit_event: AuditEvent, *, context: Context, now: datetime) -> None:
        # As it will be read back: what cannot be JSON fails here, and a later change of the mapping changes nothing.
        details = json.loads(json.dumps(dict(audit_event.details), allow_nan=False))
        kept = replace(audit_event, details=details)
        self._entries.append(Entry(id=new_id(now), at=now, audit_event=kept, context=context))

    def flush(self) -> None:
        """Write what was recorded; who holds the transaction commits right after."""
        if not self._entries:
            return
        entries, self._entries = self._entries, []
        audit, events = self._tables.audit, self._tables.events
        acquire_lock(self._connection, audit.name)
        newest, previous, erased = self._newest(entries)
        if erased:
            entries = [without_erased(entry, erased) for entry in entries]
        rows = []
        for sequence, entry in enumerate(entries, start=newest + 1):
            rows.append(chained_row(entry, previous=previous, sequence=sequence))
            previous = rows[-1]["hash"]
        self._add(audit, *rows)
        if delivered := [_event_row(entry) for entry in entries if _is_delivered(entry.audit_event)]:
            self._add(events, *delivered)

    def events_after(self, sequence: int, *, limit: int) -> Sequence[Event]:
        events = self._tables.events
        statement = select(*columns(events, Event)).where(events.c.sequence > sequence)
        return self._all(Event, statement.order_by(events.c.sequence).limit(limit))

    def events_before(self, sequence: int | None, *, limit: int, event_type: str | None) -> Sequence[Event]:
        events = self._tables.events
        below = events.c.sequence < sequence if sequence is not None else true()
        of_type = events.c.type == event_type if event_type is not None else true()
        statement = select(*columns(events, Event)).where(below, of_type)
        return self._all(Event, statement.order_by(events.c.sequence.desc()).limit(limit))

    def audit_after(self, sequence: int, *, limit: int) -> Sequence[AuditRecord]:
        audit = self._tables.audit
        statement = select(audit).where(audit.c.sequence > sequence).order_by(audit.c.sequence).limit(limit)
        return self._records(statement)

    def audit_before(
        self, sequence: int | None, matching: AuditFilter, *, limit: int
    ) -> Sequence[AuditRecord]:
        audit = self._tables.audit
        below = audit.c.sequence < sequence if sequence is not None else true()
        statement = select(audit).where(below, self._matches(matching))
        return self._records(statement.order_by(audit.c.sequence.desc()).limit(limit))

    def audit_above(self, sequence: int, matching: AuditFilter, *, limit: int) -> Sequence[AuditRecord]:
        audit = self._tables.audit
        statement = select(audit).where(audit.c.sequence > sequence, self._matches(matching))
        return self._records(statement.order_by(audit.c.sequence).limit(limit))[::-1]

    def count_audit(self, matching: AuditFilter) -> int:
        statement = select(func.count()).select_from(self._tables.audit).where(self._matches(matching))
        return self._connection.execute(statement).scalar_one()

    def claim_sink(self, sink: str, *, owner: str, until: datetime, now: datetime) -> int | None:
        sinks = self._tables.sinks
        fresh = self._insert(sinks).values(name=sink, sequence=0, owner=owner, leased_until=until)
        claimed = fresh.on_conflict_do_update(
            index_elements=["name"],
            set_={"owner": fresh.excluded.owner, "leased_until": fresh.excluded.leased_until},
            where=or_(sinks.c.owner.is_(None), sinks.c.owner == owner, sinks.c.leased_until <= now),
        ).returning(sinks.c.sequence)
        return self._connection.execute(claimed).scalar_one_or_none()

    def advance_sink(self, sink: str, *, owner: str, sequence: int) -> bool:
        sinks = self._tables.sinks
        furthest = case((sinks.c.sequence < sequence, sequence), else_=sinks.c.sequence)
        statement = update(sinks).where(sinks.c.name == sink, sinks.c.owner == owner)
        return self._count(statement.values(sequence=furthest)) == 1

    def release_sink(self, sink: str, *, owner: str) -> None:
        sinks = self._tables.sinks
        statement = update(sinks).where(sinks.c.name == sink, sinks.c.owner == owner)
        self._connection.execute(statement.values(owner=None, leased_until=None))

    def dead_letter(self, sink: str, event: Event, *, error: str, now: datetime) -> None:
        events, parked = self._tables.events, self._tables.parked_events
        # Copied where it lies: what makes it poison may be that its data cannot be written again.
        copied = select(
            literal(sink).label("sink"),
            *columns(events, Event),
            literal(error).label("error"),
            literal(now, parked.c.parked_at.type).label("parked_at"),
        ).where(events.c.sequence == event.sequence)
        names = [column.name for column in copied.selected_columns]
        self._connection.execute(
            self._insert(parked)
            .from_select(names, copied)
            .on_conflict_do_nothing(index_elements=["sink", "sequence"])
        )

    def dead_letters(self, *, limit: int) -> Sequence[tuple[str, Event, str]]:
        parked = self._tables.parked_events
        statement = select(*columns(parked, Event), parked.c.sink, parked.c.error)
        found = []
        for row in self._connection.execute(
            statement.order_by(parked.c.sequence, parked.c.sink).limit(limit)
        ):
            fields = dict(row._mapping)
            sink, error = fields.pop("sink"), fields.pop("error")
            found.append((sink, Event(**fields), error))
        return found

    def state(self) -> OutboxState:
        events, sinks, parked = self._tables.events, self._tables.sinks, self._tables.parked_events
        waiting = (
            select(sinks.c.name, sinks.c.leased_until, func.count(events.c.sequence), func.min(events.c.at))
            .select_from(sinks.outerjoin(events, events.c.sequence > sinks.c.sequence))
            .group_by(sinks.c.name, sinks.c.leased_until)
            .order_by(sinks.c.name)
        )
        refused = select(parked.c.sink, func.count().label("parked")).group_by(parked.c.sink)
        aside = {row.sink: row.parked for row in self._connection.execute(refused)}
        kept = self._connection.execute(select(func.count()).select_from(events)).scalar_one()
        return OutboxState(
            events=kept,
            sinks=[
                SinkState(
                    name=name,
                    behind=behind,
                    oldest_waiting_at=oldest,
                    leased_until=leased_until,
                    dead_lettered=aside.get(name, 0),
                )
                for name, leased_until, behind, oldest in self._connection.execute(waiting)
            ],
        )

    def prune_events(self, *, before: datetime) -> int:
        events, sinks = self._tables.events, self._tables.sinks
        slowest = select(func.min(sinks.c.sequence)).scalar_subquery()
        had_by_all = or_(slowest.is_(None), events.c.sequence <= slowest)
        return self._count(delete(events).where(events.c.at < before, had_by_all))

    # --- how ---

    def _newest(self, entries: Sequence[Entry]) -> tuple[int, str, frozenset[str]]:
        """Read where the chain ends, and which of the users in *entries* were deleted, in one statement."""
        audit, erasures = self._tables.audit, self._tables.erasures
        concerned = {entry.audit_event.user_id for entry in entries} | {
            entry.context.user_id for entry in entries
        }
        known = sorted(user_id for user_id in concerned if user_id is not None)
        erased = select(func.aggregate_strings(erasures.c.user_id, " ")).where(erasures.c.user_id.in_(known))
        last = select(audit.c.sequence, audit.c.hash, erased.scalar_subquery().label("erased"))
        row = self._connection.execute(last.order_by(audit.c.sequence.desc()).limit(1)).one_or_none()
        if row is None:
            return 0, GENESIS, frozenset()
        return row.sequence, row.hash, frozenset((row.erased or "").split())

    def _matches(self, matching: AuditFilter) -> ColumnElement[bool]:
        audit = self._tables.audit
        equal = {
            audit.c.user_id: matching.user_id,
            audit.c.action: matching.action,
            audit.c.outcome: matching.outcome,
        }
        wanted = [column == value for column, value in equal.items() if value is not None]
        if matching.since is not None:
            wanted.append(audit.c.at >= matching.since)
        if matching.until is not None:
            wanted.append(audit.c.at < matching.until)
        return and_(true(), *wanted)

    def _records(self, statement: Select[Any]) -> list[AuditRecord]:
        return [audit_record(row) for row in self._connection.execute(statement)]


def _is_delivered(audit_event: AuditEvent) -> bool:
    return audit_event.action in ALARMS or (
        audit_event.action in EVENT_TYPES and audit_event.outcome == "success"
    )


def _event_row(entry: Entry) -> dict[str, Any]:
    audit_event = entry.audit_event
    data = {**audit_event.details, "userId": audit_event.user_id}
    if audit_event.organization_id is not None:
        data["organizationId"] = audit_event.organization_id
    return {
        "id": entry.id,
        "type": audit_event.action,
        "user_id": audit_event.user_id,
        "at": entry.at,
        "data": data,
    }
