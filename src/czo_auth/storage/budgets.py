"""Counts that expire, in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Insert, bindparam, case, delete, or_, select, update

from czo_auth.core.budgets import Budget, Budgets
from czo_auth.storage.store import Store
from czo_auth.storage.tables import Tables

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


class SqlBudgets(Store, Budgets):
    """Implements `czo_auth.core.budgets.Budgets`."""

    def spend(self, budget: Budget, *, now: datetime, uses: int = 1) -> datetime | None:
        budgets = self._tables.budgets
        # Every transaction that records something counts: prepared, because it costs much less.
        spending = self._prepared(_SPENDING[self._connection.dialect.name])
        counted = spending.count(
            self._connection,
            name=budget.name,
            uses=uses,
            now=now,
            ends_at=now + budget.window,
            most=budget.limit - uses,
        )
        if counted:
            return None
        ends = select(budgets.c.expires_at).where(budgets.c.name == budget.name)
        ends_at: datetime = self._connection.execute(ends).scalar_one()
        return ends_at

    def give_back(self, budget: Budget) -> None:
        budgets = self._tables.budgets
        statement = update(budgets).where(budgets.c.name == budget.name, budgets.c.used > 0)
        self._connection.execute(statement.values(used=budgets.c.used - 1))

    def forget(self, name: str) -> None:
        budgets = self._tables.budgets
        self._connection.execute(delete(budgets).where(budgets.c.name == name))

    def prune_expired(self, *, before: datetime) -> int:
        budgets = self._tables.budgets
        return self._prune(budgets, budgets.c.expires_at, before)


def _spend_on_sqlite(tables: Tables) -> Insert:
    from sqlalchemy.dialects import sqlite

    return _spend(sqlite.insert(tables.budgets), tables)


def _spend_on_postgresql(tables: Tables) -> Insert:
    from sqlalchemy.dialects import postgresql

    return _spend(postgresql.insert(tables.budgets), tables)


_SPENDING = {"sqlite": _spend_on_sqlite, "postgresql": _spend_on_postgresql}


def _spend(insert: sqlite.Insert | postgresql.Insert, tables: Tables) -> Insert:
    budgets = tables.budgets.c
    uses, most = (bindparam(name, type_=budgets.used.type) for name in ("uses", "most"))
    now, ends_at = (bindparam(name, type_=budgets.expires_at.type) for name in ("now", "ends_at"))
    is_over = budgets.expires_at <= now
    first = insert.values(name=bindparam("name", type_=budgets.name.type), used=uses, expires_at=ends_at)
    return first.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "used": case((is_over, uses), else_=budgets.used + uses),
            "expires_at": case((is_over, ends_at), else_=budgets.expires_at),
        },
        where=or_(is_over, budgets.used <= most),
    )
