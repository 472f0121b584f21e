"""Removing personal parts and old records from the audit log and the outbox, in SQL (S43)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, bindparam, delete, or_, select, update

from czo_auth.core.events.personal import PERSONAL_IN_VERSION_1, split_details
from czo_auth.core.events.store import AuditRemoval, Erasure
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns

_REMOVABLE = ("ip", "user_agent", "origin_salt", "personal", "personal_salt", "details", "personal_removed")


class SqlAuditRemoval(Store, AuditRemoval):
    """Implements `czo_auth.core.events.store.AuditRemoval`."""

    def lock_audit(self) -> None:
        acquire_lock(self._connection, self._tables.audit.name)

    def cut_audit(self, *, through: int) -> int:
        audit = self._tables.audit
        return self._count(delete(audit).where(audit.c.sequence <= through))

    def remove_addresses(self, *, after: int, before: datetime, limit: int) -> tuple[int, int]:
        audit = self._tables.audit
        with_origin = or_(audit.c.ip.is_not(None), audit.c.user_agent.is_not(None))
        statement = select(audit).where(audit.c.sequence > after, audit.c.at < before, with_origin)
        found = self._connection.execute(statement.order_by(audit.c.sequence).limit(limit)).all()
        self._rewrite([{**row._mapping, **_without_origin(row)} for row in found])
        return len(found), found[-1].sequence if found else after

    def begin_erasure(self, user_id: str, *, now: datetime) -> None:
        row = {"user_id": user_id, "erased_at": now}
        self._insert_unless(self._tables.erasures, ["user_id"], row)

    def erase_from_audit(self, user_id: str, *, after: int, limit: int) -> int | None:
        audit = self._tables.audit
        concerned = or_(audit.c.actor_user_id == user_id, audit.c.user_id == user_id)
        statement = select(audit).where(concerned, audit.c.sequence > after)
        found = self._connection.execute(statement.order_by(audit.c.sequence).limit(limit)).all()
        changed = [(row, {**row._mapping, **_without(row, user_id)}) for row in found]
        self._rewrite([new for row, new in changed if new != dict(row._mapping)])
        return found[-1].sequence if found else None

    def erase_from_events(self, user_id: str, *, after: int, limit: int) -> int | None:
        return self._erase_data(self._tables.events, user_id, after=after, limit=limit)

    def erase_from_dead_letters(self, user_id: str, *, after: int, limit: int) -> int | None:
        return self._erase_data(self._tables.parked_events, user_id, after=after, limit=limit)

    def finish_erasure(self, user_id: str, *, now: datetime) -> None:
        erasures = self._tables.erasures
        self._connection.execute(
            update(erasures).where(erasures.c.user_id == user_id).values(finished_at=now)
        )

    def list_erasures(self, *, limit: int) -> Sequence[Erasure]:
        erasures = self._tables.erasures
        waiting = select(*columns(erasures, Erasure)).where(erasures.c.finished_at.is_(None))
        return self._all(Erasure, waiting.order_by(erasures.c.erased_at).limit(limit))

    def prune_erasures(self, *, before: datetime) -> int:
        erasures = self._tables.erasures
        return self._prune(erasures, erasures.c.finished_at, before)

    # --- how ---

    def _rewrite(self, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        audit = self._tables.audit
        statement = update(audit).where(audit.c.sequence == bindparam("place"))
        changes = {name: bindparam(f"new_{name}", type_=audit.c[name].type) for name in _REMOVABLE}
        parameters = [
            {"place": row["sequence"]} | {f"new_{name}": row[name] for name in _REMOVABLE} for row in rows
        ]
        self._connection.execute(statement.values(**changes), parameters)

    def _erase_data(self, table: Table, user_id: str, *, after: int, limit: int) -> int | None:
        statement = select(table.c.sequence, table.c.data).where(
            table.c.user_id == user_id, table.c.sequence > after
        )
        found = self._connection.execute(statement.order_by(table.c.sequence).limit(limit)).all()
        for sequence, data in found:
            stay, personal = split_details(data)
            if personal:
                changed = update(table).where(table.c.sequence == sequence).values(data=stay)
                self._connection.execute(changed)
        return found[-1].sequence if found else None


def _without_origin(row: Row[Any]) -> dict[str, Any]:
    """Return what changes in *row* when its origin is removed; of version 1, whose hash needs it, that it was."""
    removed = {"personal_removed": True} if row.version is None else {}
    return {"ip": None, "user_agent": None, "origin_salt": None, **removed}


def _without(row: Row[Any], user_id: str) -> dict[str, Any]:
    """Return what changes in *row* when *user_id* is erased: an administrator's origin stays."""
    changes: dict[str, Any] = {}
    acted = row.actor_user_id == user_id or (row.actor_user_id is None and row.user_id == user_id)
    if acted and (row.ip is not None or row.user_agent is not None):
        changes |= _without_origin(row)
    if row.personal is not None:
        changes |= {"personal": None, "personal_salt": None}
    if row.version is None:
        stay, personal = split_details(row.details, personal=PERSONAL_IN_VERSION_1)
        if personal:
            changes |= {"details": stay, "personal_removed": True}
    return changes
