"""Holders of actor types that demand a second factor from a day on, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from czo_auth.core.actors import ActorType
from czo_auth.core.users.actor_type_deadlines import ActorTypeDeadlines, DueCounts
from czo_auth.core.users.user import User
from czo_auth.storage.column_types import MILLISECOND, to_milliseconds
from czo_auth.storage.store import Store
from czo_auth.storage.users import has_passkey, holds, owns_factor, select_users


class SqlActorTypeDeadlines(Store, ActorTypeDeadlines):
    """Implements `czo_auth.core.users.actor_type_deadlines.ActorTypeDeadlines`."""

    def list_due(
        self, actor_type: ActorType, *, now: datetime, until: datetime, limit: int, after: str | None = None
    ) -> Sequence[User]:
        users = self._tables.users
        due_at = self._due_at(actor_type)
        statement = select_users(self._tables).where(
            self._lacks(actor_type),
            due_at > to_milliseconds(now),
            due_at <= to_milliseconds(until),
            true() if after is None else users.c.id > after,
        )
        return self._all(User, statement.order_by(users.c.id).limit(limit))

    def count_due(self, actor_type: ActorType, *, now: datetime, until: datetime) -> DueCounts:
        users, factors = self._tables.users, self._tables.factors
        due_at = self._due_at(actor_type)
        statement = (
            select(
                func.count(case((due_at <= to_milliseconds(now), 1))),
                func.count(case((and_(due_at > to_milliseconds(now), due_at <= to_milliseconds(until)), 1))),
            )
            .select_from(users.outerjoin(factors, factors.c.user_id == users.c.id))
            .where(self._lacks(actor_type))
        )
        refused, soon = self._connection.execute(statement).one()
        return DueCounts(refused=refused, soon=soon)

    def mark_reminded(self, user_id: str, *, due_at: datetime, days: int) -> bool:
        users = self._tables.users
        is_new = or_(
            users.c.two_factor_reminded_due_at.is_distinct_from(due_at),
            users.c.two_factor_reminded_days > days,
        )
        marked = update(users).where(users.c.id == user_id, is_new)
        return (
            self._count(marked.values(two_factor_reminded_due_at=due_at, two_factor_reminded_days=days)) == 1
        )

    def _lacks(self, actor_type: ActorType) -> ColumnElement[bool]:
        """Whether a user who may act holds the type without what it demands; joins ``factors``."""
        is_strict = actor_type.two_factor == "phishing_resistant"
        satisfies = has_passkey(self._tables) if is_strict else owns_factor(self._tables)
        return and_(
            self._tables.users.c.banned_at.is_(None), holds(self._tables, actor_type.name), ~satisfies
        )

    def _due_at(self, actor_type: ActorType) -> ColumnElement[int]:
        """`ActorType.due_at` of a row of users, in milliseconds."""
        users = self._tables.users
        later = cast(type_coerce(users.c.actor_type_grants, JSON)[actor_type.name].as_string(), BigInteger)
        granted_at = func.coalesce(later, type_coerce(users.c.created_at, BigInteger))
        due_at = granted_at + literal(_milliseconds(actor_type.grace), BigInteger)
        if actor_type.required_from is None:
            return due_at
        latest = func.max if self._connection.dialect.name == "sqlite" else func.greatest
        return latest(due_at, literal(to_milliseconds(actor_type.required_from), BigInteger))


def _milliseconds(span: timedelta) -> int:
    return span // MILLISECOND
