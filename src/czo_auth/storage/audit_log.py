"""The audit log, in SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    String,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    true,
)

from czo_auth.core.context import Context
from czo_auth.core.events.chain import GENESIS
from czo_auth.core.events.store import AuditLog
from czo_auth.core.events.types import (
    EVENT_TYPES,
    PASSKEY_COUNTER_REGRESSED,
    REFRESH_REUSE_DETECTED,
    TWO_FACTOR_LOCKED,
    AuditEvent,
    AuditFilter,
    AuditRecord,
)
from czo_auth.core.ids import new_id
from czo_auth.storage.audit_rows import Entry, audit_record, chained_row, without_erased
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store
from czo_auth.storage.tables import Tables

ALARMS = frozenset({TWO_FACTOR_LOCKED, REFRESH_REUSE_DETECTED, PASSKEY_COUNTER_REGRESSED})
"""Events about failures, which are delivered regardless of their outcome."""


class SqlAuditLog(Store, AuditLog):
    """
    The audit log of one transaction; events go into the outbox too.

    Records wait in memory until `flush`, the last operation before the commit. Sequence numbers grow in commit order
    only if one transaction at a time assigns them, so that time should be short.
    """

    def __init__(self, connection: Connection, tables: Tables) -> None:
        super().__init__(connection, tables)
        self._entries: list[Entry] = []

    def record(self, audit_event: AuditEvent, *, context: Context) -> None:
        """Buffer *audit_event* for `flush`."""
        # As it will be read back: non-JSON values fail here, and later changes of the mapping have no effect.
        details = json.loads(json.dumps(dict(audit_event.details), allow_nan=False))
        kept = replace(audit_event, details=details)
        self._entries.append(Entry(id=new_id(context.now), at=context.now, audit_event=kept, context=context))

    def recorded(self) -> list[tuple[AuditEvent, Context]]:
        """Return what is buffered, and who caused it."""
        return [(entry.audit_event, entry.context) for entry in self._entries]

    def flush(self) -> None:
        """Write the buffered records; the owner of the transaction commits right after."""
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
        delivered = [_event_row(entry) for entry in entries if _is_delivered(entry.audit_event)]
        if len(rows) == len(delivered) == 1 and self._connection.dialect.name == "postgresql":
            self._add_together(rows[0], delivered[0])
            return
        self._add(audit, *rows)
        if delivered:
            self._add(events, *delivered)

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

    def count_audit(self, matching: AuditFilter, *, up_to: int | None = None) -> int:
        audit = self._tables.audit
        if matching != AuditFilter():
            return self._count_up_to(audit, self._matches(matching), up_to=up_to)
        # The chain has no gaps: its ends tell its length, and millions of records are not counted.
        first, last = (select(end(audit.c.sequence)).scalar_subquery() for end in (func.min, func.max))
        found: int = self._connection.execute(select(func.coalesce(last - first + 1, 0))).scalar_one()
        return found

    # --- how ---

    def _add_together(self, record: Mapping[str, Any], delivered: Mapping[str, Any]) -> None:
        """Write a record and its event in one statement: while the chain is locked, each round trip counts."""
        values = {f"audit_{name}": value for name, value in record.items()}
        values |= {f"event_{name}": value for name, value in delivered.items()}
        self._prepared(_record_with_event).count(self._connection, **values)

    def _newest(self, entries: Sequence[Entry]) -> tuple[int, str, frozenset[str]]:
        """Read where the chain ends, and which of the users in *entries* were deleted, in one statement."""
        concerned = {entry.audit_event.user_id for entry in entries} | {
            entry.context.user_id for entry in entries
        }
        known = sorted(user_id for user_id in concerned if user_id is not None)
        if len(known) > 2:
            row = self._connection.execute(_newest(self._tables, known)).one_or_none()
            return (0, GENESIS, frozenset()) if row is None else (row[0], row[1], frozenset(row[2].split()))
        # Almost always there are at most two: the user concerned, and perhaps another one who acts.
        one, other = (known[0], known[-1]) if known else ("", "")
        rows = self._prepared(_newest_and_two).rows(self._connection, one=one, other=other)
        if not rows:
            return 0, GENESIS, frozenset()
        sequence, digest, *were_erased = rows[0]
        return sequence, digest, frozenset(compress((one, other), were_erased))

    def _matches(self, matching: AuditFilter) -> ColumnElement[bool]:
        audit = self._tables.audit
        equal = {
            audit.c.user_id: matching.user_id,
            audit.c.action: matching.action,
            audit.c.outcome: matching.outcome,
        }
        wanted = [column == value for column, value in equal.items() if value is not None]
        if matching.person is not None:
            wanted.append(or_(audit.c.user_id == matching.person, audit.c.actor_user_id == matching.person))
        if matching.since is not None:
            wanted.append(audit.c.at >= matching.since)
        if matching.until is not None:
            wanted.append(audit.c.at < matching.until)
        return and_(true(), *wanted)

    def _records(self, statement: Select[Any]) -> list[AuditRecord]:
        return [audit_record(row) for row in self._connection.execute(statement)]


def _newest(tables: Tables, user_ids: Sequence[str]) -> Select[Any]:
    """Select the end of the chain, and which of the users were deleted."""
    erasures = tables.erasures
    erased = select(func.coalesce(func.aggregate_strings(erasures.c.user_id, " "), ""))
    return _end_of_chain(tables, erased.where(erasures.c.user_id.in_(user_ids)).scalar_subquery())


def _newest_and_two(tables: Tables) -> Select[Any]:
    """Select the end of the chain, and whether each of two users was deleted."""
    erasures = tables.erasures
    users = (bindparam(name, type_=String) for name in ("one", "other"))
    return _end_of_chain(
        tables, *(exists().where(erasures.c.user_id == user).label(user.key) for user in users)
    )


def _end_of_chain(tables: Tables, *more: ColumnElement[Any]) -> Select[Any]:
    audit = tables.audit
    return select(audit.c.sequence, audit.c.hash, *more).order_by(audit.c.sequence.desc()).limit(1)


def _record_with_event(tables: Tables) -> Insert:
    record = insert(tables.audit).values(
        {column.name: bindparam(f"audit_{column.name}", type_=column.type) for column in tables.audit.c}
    )
    event = insert(tables.events).values(
        {
            column.name: bindparam(f"event_{column.name}", type_=column.type)
            for column in tables.events.c
            if column.name != "sequence"
        }
    )
    return event.inline().add_cte(record.inline().cte("record"))


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
