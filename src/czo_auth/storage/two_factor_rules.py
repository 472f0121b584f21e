"""When members of organizations need a factor, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from czo_auth.core.organizations.two_factor import (
    REMINDED_DAYS,
    Exemption,
    FactorRules,
    MemberFactors,
    OrganizationDue,
    Reminder,
)
from czo_auth.storage.store import Store

_DAY: Final = 86_400_000
"""Unit: milliseconds."""


class SqlFactorRules(Store, FactorRules):
    """Implements `czo_auth.core.organizations.two_factor.FactorRules`."""

    def apply(self, organization_id: str, *, user_id: str | None = None) -> None:
        members = self._tables.members
        due_at = self._due_at()
        statement = update(members).where(
            members.c.organization_id == organization_id,
            true() if user_id is None else members.c.user_id == user_id,
            type_coerce(members.c.two_factor_due_at, BigInteger).is_distinct_from(due_at),
        )
        self._connection.execute(statement.values(two_factor_due_at=due_at, two_factor_reminded_days=None))

    def _due_at(self) -> ScalarSelect[Any]:
        """`FactorRule.due_at` of the row of ``members`` around it."""
        members, organizations, terms = (
            self._tables.members,
            self._tables.organizations,
            self._tables.two_factor_terms,
        )
        demanded = _number(organizations.c.require_two_factor_from)
        first_joined = func.coalesce(_number(terms.c.first_joined_at), _number(members.c.created_at))
        grace = cast(organizations.c.two_factor_grace_days, BigInteger) * literal(_DAY, BigInteger)
        exempt = func.coalesce(_number(terms.c.exempt_until), literal(0, BigInteger))
        is_sqlite = self._connection.dialect.name == "sqlite"
        latest = (func.max if is_sqlite else func.greatest)(demanded, first_joined + grace, exempt)
        of_member = and_(terms.c.organization_id == organizations.c.id, terms.c.user_id == members.c.user_id)
        return (
            select(case((demanded.is_(None), null()), else_=latest))
            .select_from(organizations.outerjoin(terms, of_member))
            .where(organizations.c.id == members.c.organization_id)
            .correlate(members)
            .scalar_subquery()
        )

    def remember_first_join(self, organization_id: str, user_id: str, *, joined_at: datetime) -> None:
        row = {"organization_id": organization_id, "user_id": user_id, "first_joined_at": joined_at}
        self._insert_unless(self._tables.two_factor_terms, ["organization_id", "user_id"], row)

    def find_earliest(self, user_id: str) -> datetime | None:
        members = self._tables.members
        found: datetime | None = self._connection.execute(
            select(func.min(members.c.two_factor_due_at)).where(members.c.user_id == user_id)
        ).scalar_one()
        return found

    def exempt_since(self, organization_id: str, user_id: str) -> datetime | None:
        terms = self._tables.two_factor_terms
        found: datetime | None = self._connection.execute(
            select(terms.c.exempt_since).where(*self._of(organization_id, user_id))
        ).scalar_one_or_none()
        return found

    def put_exemption(self, exemption: Exemption, *, joined_at: datetime) -> None:
        organization_id, user_id = exemption.organization_id, exemption.user_id
        self.remember_first_join(organization_id, user_id, joined_at=joined_at)
        terms = self._tables.two_factor_terms
        self._connection.execute(
            update(terms)
            .where(*self._of(organization_id, user_id))
            .values(
                exempt_since=exemption.since,
                exempt_until=exemption.until,
                exempt_reason=exemption.reason,
                exempt_by=exemption.by,
            )
        )

    def end_exemption(self, organization_id: str, user_id: str, *, now: datetime) -> bool:
        terms = self._tables.two_factor_terms
        ended = (
            update(terms)
            .where(*self._of(organization_id, user_id), terms.c.exempt_until > now)
            .values(exempt_until=None, exempt_reason=None, exempt_by=None)
        )
        return self._count(ended) == 1

    def list_members(self, organization_id: str, *, now: datetime, limit: int) -> Sequence[MemberFactors]:
        tables = self._tables
        members, users, factors, terms, keys = (
            tables.members,
            tables.users,
            tables.factors,
            tables.two_factor_terms,
            tables.api_keys,
        )
        has_passkey, has_totp = self._has_passkey(), factors.c.user_id.is_not(None)
        live_keys = (
            select(func.count())
            .select_from(keys)
            .where(
                keys.c.organization_id == organization_id,
                keys.c.user_id == members.c.user_id,
                keys.c.revoked_at.is_(None),
                or_(keys.c.expires_at.is_(None), keys.c.expires_at > now),
            )
            .correlate(members)
            .scalar_subquery()
        )
        statement = (
            select(
                members.c.user_id,
                users.c.name,
                users.c.email,
                members.c.role,
                or_(has_totp, and_(users.c.passkeys_enabled_at.is_not(None), has_passkey)).label("enabled"),
                or_(has_totp, has_passkey).label("owns_factor"),
                has_passkey.label("phishing_resistant"),
                func.coalesce(terms.c.first_joined_at, members.c.created_at).label("first_joined_at"),
                terms.c.exempt_until,
                live_keys.label("live_keys"),
            )
            .select_from(
                members.join(users, users.c.id == members.c.user_id)
                .outerjoin(factors, factors.c.user_id == members.c.user_id)
                .outerjoin(
                    terms,
                    and_(
                        terms.c.organization_id == members.c.organization_id,
                        terms.c.user_id == members.c.user_id,
                    ),
                )
            )
            .where(members.c.organization_id == organization_id)
            .order_by(members.c.created_at, members.c.id)
            .limit(limit)
        )
        return self._all(MemberFactors, statement)

    def list_reminders(self, *, now: datetime, limit: int, after: str | None = None) -> Sequence[Reminder]:
        tables = self._tables
        members, users, factors, organizations = (
            tables.members,
            tables.users,
            tables.factors,
            tables.organizations,
        )
        statement = (
            select(
                members.c.id.label("member_id"),
                members.c.user_id,
                users.c.email,
                members.c.organization_id,
                organizations.c.name.label("organization_name"),
                members.c.two_factor_due_at.label("due_at"),
            )
            .select_from(
                members.join(users, users.c.id == members.c.user_id)
                .join(organizations, organizations.c.id == members.c.organization_id)
                .outerjoin(factors, factors.c.user_id == members.c.user_id)
            )
            .where(
                members.c.two_factor_due_at > now,
                members.c.two_factor_due_at <= now + timedelta(days=max(REMINDED_DAYS)),
                users.c.banned_at.is_(None),
                factors.c.user_id.is_(None),
                ~self._has_passkey(),
                true() if after is None else members.c.id > after,
            )
            .order_by(members.c.id)
            .limit(limit)
        )
        return self._all(Reminder, statement)

    def count_due(self, *, now: datetime, until: datetime, limit: int) -> Sequence[OrganizationDue]:
        tables = self._tables
        members, users, factors, organizations = (
            tables.members,
            tables.users,
            tables.factors,
            tables.organizations,
        )
        refused = func.count(case((members.c.two_factor_due_at <= now, 1)))
        statement = (
            select(
                organizations.c.name,
                refused.label("refused"),
                func.count(case((members.c.two_factor_due_at > now, 1))).label("soon"),
            )
            .select_from(
                members.join(users, users.c.id == members.c.user_id)
                .join(organizations, organizations.c.id == members.c.organization_id)
                .outerjoin(factors, factors.c.user_id == members.c.user_id)
            )
            .where(
                members.c.two_factor_due_at <= until,
                users.c.banned_at.is_(None),
                factors.c.user_id.is_(None),
                ~self._has_passkey(),
            )
            .group_by(organizations.c.id, organizations.c.name)
            .order_by(refused.desc(), organizations.c.id)
            .limit(limit)
        )
        return self._all(OrganizationDue, statement)

    def mark_reminded(self, reminder: Reminder, *, days: int) -> bool:
        members = self._tables.members
        marked = (
            update(members)
            .where(
                members.c.id == reminder.member_id,
                members.c.two_factor_due_at == reminder.due_at,
                or_(members.c.two_factor_reminded_days.is_(None), members.c.two_factor_reminded_days > days),
            )
            .values(two_factor_reminded_days=days)
        )
        return self._count(marked) == 1

    def _has_passkey(self) -> ColumnElement[bool]:
        passkeys = self._tables.passkeys
        return exists(select(passkeys.c.id).where(passkeys.c.user_id == self._tables.users.c.id))

    def _of(self, organization_id: str, user_id: str) -> tuple[ColumnElement[bool], ...]:
        terms = self._tables.two_factor_terms
        return terms.c.organization_id == organization_id, terms.c.user_id == user_id


def _number(column: ColumnElement[Any]) -> ColumnElement[int]:
    """Return a time as what it is in the database: milliseconds."""
    return type_coerce(column, BigInteger)
