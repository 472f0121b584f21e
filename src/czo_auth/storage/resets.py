"""Pending resets of second factors, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, update

from czo_auth.core.paging import Position
from czo_auth.core.two_factor.reset import Outcome, Reset, Resets
from czo_auth.storage.store import Store, columns, values
from czo_auth.storage.tables import Tables


class SqlResets(Store, Resets):
    """Implements `czo_auth.core.two_factor.reset.Resets`."""

    def add(self, reset: Reset, *, digest: str) -> bool:
        resets = self._tables.factor_resets
        statement = (
            self._insert(resets)
            .values(digest=digest, **values(reset))
            .on_conflict_do_nothing(index_elements=["user_id"], index_where=resets.c.closed_at.is_(None))
            .returning(resets.c.id)
        )
        return self._connection.execute(statement).one_or_none() is not None

    def find_waiting(self, user_id: str) -> Reset | None:
        return self._prepared(_waiting_reset).one(self._connection, Reset, owner=user_id)

    def find_by_token(self, digest: str, *, now: datetime) -> Reset | None:
        resets = self._tables.factor_resets
        return self._one(Reset, self._waiting().where(resets.c.digest == digest, resets.c.due_at > now))

    def list_waiting(self, *, after: Position | None = None, limit: int) -> Sequence[Reset]:
        page = self._page(
            self._waiting(),
            self._tables.factor_resets,
            after,
            limit=limit,
            newest_first=False,
            sorted_by="due_at",
        )
        return self._all(Reset, page)

    def count_waiting(self) -> int:
        resets = self._tables.factor_resets
        statement = select(func.count()).select_from(resets).where(resets.c.closed_at.is_(None))
        return self._connection.execute(statement).scalar_one()

    def due(self, *, now: datetime, limit: int) -> Sequence[Reset]:
        resets = self._tables.factor_resets
        due = self._waiting().where(resets.c.due_at <= now)
        return self._all(Reset, due.order_by(resets.c.due_at, resets.c.id).limit(limit))

    def close(self, reset_id: str, *, outcome: Outcome, now: datetime) -> bool:
        resets = self._tables.factor_resets
        statement = update(resets).where(resets.c.id == reset_id, resets.c.closed_at.is_(None))
        return self._count(statement.values(closed_at=now, outcome=outcome)) == 1

    def closed(self, *, limit: int) -> Sequence[Reset]:
        resets = self._tables.factor_resets
        closed = select(*columns(resets, Reset)).where(resets.c.closed_at.is_not(None))
        return self._all(Reset, closed.order_by(resets.c.closed_at, resets.c.id).limit(limit))

    def forget(self, reset_id: str) -> bool:
        resets = self._tables.factor_resets
        statement = delete(resets).where(resets.c.id == reset_id, resets.c.closed_at.is_not(None))
        return self._count(statement) == 1

    def _waiting(self) -> Select[Any]:
        return _waiting_resets(self._tables)


def _waiting_resets(tables: Tables) -> Select[Any]:
    resets = tables.factor_resets
    return select(*columns(resets, Reset)).where(resets.c.closed_at.is_(None))


def _waiting_reset(tables: Tables) -> Select[Any]:
    return _waiting_resets(tables).where(tables.factor_resets.c.user_id == bindparam("owner"))
