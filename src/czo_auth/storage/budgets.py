"""Counts that expire, in SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import case, or_, select, update

from czo_auth.core.budgets import Budget, Budgets
from czo_auth.storage.store import Store


class SqlBudgets(Store, Budgets):
    """Implements `czo_auth.core.budgets.Budgets`."""

    def spend(self, budget: Budget, *, now: datetime) -> datetime | None:
        budgets = self._tables.budgets
        is_over = budgets.c.expires_at <= now
        first = self._insert(budgets).values(name=budget.name, used=1, expires_at=now + budget.window)
        statement = first.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "used": case((is_over, 1), else_=budgets.c.used + 1),
                "expires_at": case((is_over, first.excluded.expires_at), else_=budgets.c.expires_at),
            },
            where=or_(is_over, budgets.c.used < budget.limit),
        ).returning(budgets.c.used)
        if self._connection.execute(statement).one_or_none() is not None:
            return None
        ends = select(budgets.c.expires_at).where(budgets.c.name == budget.name)
        ends_at: datetime = self._connection.execute(ends).scalar_one()
        return ends_at

    def give_back(self, budget: Budget) -> None:
        budgets = self._tables.budgets
        statement = update(budgets).where(budgets.c.name == budget.name, budgets.c.used > 0)
        self._connection.execute(statement.values(used=budgets.c.used - 1))

    def prune_expired(self, *, before: datetime) -> int:
        budgets = self._tables.budgets
        return self._prune(budgets, budgets.c.expires_at, before)
