"""Factors, enrollments and backup codes, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Text,
    Update,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from czo_auth.core.limits import MAX_USED_CODES
from czo_auth.core.two_factor.factor import Enrollment, HashedCode, RenewalCounts, StoredCode, TotpFactor
from czo_auth.core.two_factor.store import TwoFactor
from czo_auth.storage.store import PRUNED_AT_ONCE, Store, columns, unlocked_batch, values
from czo_auth.storage.tables import Tables

if TYPE_CHECKING:
    from czo_auth.storage.store import Insert, NewInsert


class SqlTwoFactor(Store, TwoFactor):
    """Implements `czo_auth.core.two_factor.store.TwoFactor`."""

    # factors
    def find_factor(self, user_id: str) -> TotpFactor | None:
        return self._prepared(_factor_of).one(self._connection, TotpFactor, owner=user_id)

    def put_factor(self, factor: TotpFactor) -> None:
        row = values(factor) | {"renewal_reminded_days": None}
        statement = self._insert(self._tables.factors).values(**row)
        self._connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=row))

    def drop_factor(self, user_id: str) -> bool:
        factors = self._tables.factors
        return self._count(delete(factors).where(factors.c.user_id == user_id)) == 1

    def consume_step(self, factor_id: str, *, step: int) -> bool:
        consumed = self._prepared(_consume_step)
        return consumed.count(self._connection, factor_id=factor_id, step=step) == 1

    def reencrypt_factor(self, factor_id: str, *, old: str, new: str) -> bool:
        factors = self._tables.factors
        statement = update(factors).where(factors.c.id == factor_id, factors.c.sealed_secret == old)
        return self._count(statement.values(sealed_secret=new)) == 1

    def sealed_after(self, factor_id: str, *, limit: int) -> Sequence[TotpFactor]:
        factors = self._tables.factors
        statement = select(*columns(factors, TotpFactor)).where(factors.c.id > factor_id)
        return self._all(TotpFactor, statement.order_by(factors.c.id).limit(limit))

    def list_renewals(
        self, *, now: datetime, until: datetime, limit: int, after: str | None = None
    ) -> Sequence[TotpFactor]:
        factors = self._tables.factors
        statement = select(*columns(factors, TotpFactor)).where(
            factors.c.renew_by > now,
            factors.c.renew_by <= until,
            true() if after is None else factors.c.id > after,
        )
        return self._all(TotpFactor, statement.order_by(factors.c.id).limit(limit))

    def count_renewals(self, *, now: datetime) -> RenewalCounts:
        factors, users = self._tables.factors, self._tables.users
        ends = factors.c.renew_by
        counted = select(
            func.count(case((ends <= now, 1))),
            func.count(case((ends > now, 1))),
            func.min(case((ends > now, ends))),
        )
        of_active = counted.select_from(factors.join(users, users.c.id == factors.c.user_id))
        overdue, waiting, next_at = self._connection.execute(
            of_active.where(ends.is_not(None), users.c.banned_at.is_(None))
        ).one()
        return RenewalCounts(overdue=overdue, waiting=waiting, next_at=next_at)

    def mark_renewal_reminded(self, factor_id: str, *, days: int) -> bool:
        factors = self._tables.factors
        is_new = or_(factors.c.renewal_reminded_days.is_(None), factors.c.renewal_reminded_days > days)
        statement = update(factors).where(factors.c.id == factor_id, is_new)
        return self._count(statement.values(renewal_reminded_days=days)) == 1

    # enrollments
    def put_enrollment(self, enrollment: Enrollment) -> None:
        given = {f"new_{name}": value for name, value in values(enrollment).items()}
        self._prepared_upsert(_put_enrollment).count(self._connection, **given)
        self._drop_pending_codes(enrollment.user_id)

    def find_enrollment(self, user_id: str, *, lineage_id: str | None, now: datetime) -> Enrollment | None:
        if lineage_id is None:
            return None
        enrollments = self._tables.enrollments
        statement = select(*columns(enrollments, Enrollment)).where(
            enrollments.c.user_id == user_id,
            enrollments.c.lineage_id == lineage_id,
            enrollments.c.expires_at > now,
        )
        return self._one(Enrollment, statement)

    def has_enrollment(self, user_id: str, *, now: datetime) -> bool:
        enrollments = self._tables.enrollments
        statement = select(enrollments.c.id).where(
            enrollments.c.user_id == user_id, enrollments.c.expires_at > now
        )
        return self._connection.execute(statement).one_or_none() is not None

    def take_enrollment(self, enrollment_id: str) -> bool:
        enrollments = self._tables.enrollments
        return self._count(delete(enrollments).where(enrollments.c.id == enrollment_id)) == 1

    def enrollments_after(self, enrollment_id: str, *, limit: int) -> Sequence[Enrollment]:
        enrollments = self._tables.enrollments
        statement = select(*columns(enrollments, Enrollment)).where(enrollments.c.id > enrollment_id)
        return self._all(Enrollment, statement.order_by(enrollments.c.id).limit(limit))

    def reencrypt_enrollment(self, old: Enrollment, *, sealed_secret: str, sealed_codes: str | None) -> bool:
        enrollments = self._tables.enrollments
        statement = update(enrollments).where(
            enrollments.c.id == old.id,
            enrollments.c.sealed_secret == old.sealed_secret,
            enrollments.c.sealed_codes.is_not_distinct_from(old.sealed_codes),
        )
        return self._count(statement.values(sealed_secret=sealed_secret, sealed_codes=sealed_codes)) == 1

    def drop_enrollment(self, user_id: str) -> None:
        enrollments = self._tables.enrollments
        self._connection.execute(delete(enrollments).where(enrollments.c.user_id == user_id))
        self._drop_pending_codes(user_id)

    def put_pending_codes(self, enrollment_id: str, user_id: str, codes: Sequence[HashedCode]) -> bool:
        enrollments = self._tables.enrollments
        statement = update(enrollments).where(
            enrollments.c.id == enrollment_id, enrollments.c.user_id == user_id
        )
        if self._count(statement.values(sealed_codes=None)) == 0:
            return False
        # If two processes hashed the same codes, the second changes nothing: both sets of hashes are valid.
        if not self.has_pending_codes(enrollment_id):
            self._add_codes(user_id, set_id=enrollment_id, codes=codes, activated_at=None)
        return True

    def has_pending_codes(self, enrollment_id: str) -> bool:
        codes = self._tables.backup_codes
        statement = select(codes.c.id).where(codes.c.set_id == enrollment_id, codes.c.activated_at.is_(None))
        return self._connection.execute(statement.limit(1)).one_or_none() is not None

    # backup codes
    def put_codes(self, user_id: str, *, set_id: str, codes: Sequence[HashedCode], now: datetime) -> None:
        self._drop_unused_codes(user_id)
        # The codes may be hashed ahead and at the confirmation at the same time; the set is stored once.
        rows = self._tables.backup_codes
        pending = delete(rows).where(rows.c.set_id == set_id, rows.c.activated_at.is_(None))
        self._connection.execute(pending)
        self._add_codes(user_id, set_id=set_id, codes=codes, activated_at=now)

    def activate_pending_codes(self, user_id: str, *, set_id: str, now: datetime) -> None:
        codes = self._tables.backup_codes
        self._drop_unused_codes(user_id)
        pending = update(codes).where(
            codes.c.user_id == user_id, codes.c.set_id == set_id, codes.c.activated_at.is_(None)
        )
        self._connection.execute(pending.values(activated_at=now))

    def selectors(self, user_id: str) -> Collection[str]:
        return {selector for (selector,) in self._prepared(_selectors).rows(self._connection, owner=user_id)}

    def find_code(self, user_id: str, selector: str) -> StoredCode | None:
        codes = self._tables.backup_codes
        statement = select(*columns(codes, StoredCode))
        return self._one(
            StoredCode,
            statement.where(codes.c.user_id == user_id, codes.c.selector == selector, self._live()),
        )

    def consume_code(self, code_id: str, *, now: datetime) -> bool:
        codes = self._tables.backup_codes
        return self._count(update(codes).where(codes.c.id == code_id, self._live()).values(used_at=now)) == 1

    def drop_codes(self, user_id: str) -> None:
        self._drop_unused_codes(user_id)

    def count_codes(self, user_id: str) -> int:
        return int(self._prepared(_count_codes).value(self._connection, owner=user_id))

    # housekeeping
    def count_by_kid(self) -> dict[str, int]:
        return {kid: sum(kinds.values()) for kid, kinds in self.count_sealed().items()}

    def count_sealed(self) -> dict[str, dict[str, int]]:
        tables = self._tables
        counted: dict[str, dict[str, int]] = {}
        for kind, sealed in (
            ("factors", tables.factors.c.sealed_secret),
            ("enrolments", tables.enrollments.c.sealed_secret),
            ("signing_keys", tables.signing_keys.c.sealed_private_key),
            ("webhook_secrets", tables.webhook_secrets.c.sealed_secret),
        ):
            kid = kid_of(sealed).label("kid")
            for row in self._connection.execute(select(kid, func.count().label("sealed")).group_by(kid)):
                counted.setdefault(row.kid, {})[kind] = row.sealed
        return counted

    def prune_expired(self, *, before: datetime) -> int:
        challenges, devices = self._tables.challenges, self._tables.trusted_devices
        return (
            self._prune(challenges, challenges.c.expires_at, before)
            + self._prune(devices, devices.c.expires_at, before)
            + self._prune_enrollments(before)
        )

    # --- how ---

    def _live(self) -> ColumnElement[bool]:
        return _live_codes(self._tables)

    def _add_codes(
        self, user_id: str, *, set_id: str, codes: Sequence[HashedCode], activated_at: datetime | None
    ) -> None:
        rows = [
            {
                "id": f"{set_id}.{code.selector}",
                "user_id": user_id,
                "set_id": set_id,
                "selector": code.selector,
                "hash": code.hash,
                "activated_at": activated_at,
            }
            for code in codes
        ]
        if rows:
            self._add(self._tables.backup_codes, *rows)

    def _drop_unused_codes(self, user_id: str) -> None:
        # Used rows stay (S5), and so do the pending codes of an enrollment: they are not valid yet.
        codes = self._tables.backup_codes
        self._connection.execute(delete(codes).where(codes.c.user_id == user_id, self._live()))
        self._drop_used_codes_beyond(user_id, limit=MAX_USED_CODES)

    def _drop_used_codes_beyond(self, user_id: str, *, limit: int) -> None:
        codes = self._tables.backup_codes
        surplus = (
            select(codes.c.id)
            .where(codes.c.user_id == user_id, codes.c.used_at.is_not(None))
            .order_by(codes.c.used_at.desc(), codes.c.id.desc())
            .offset(limit)
            .limit(PRUNED_AT_ONCE)
        )
        self._connection.execute(delete(codes).where(codes.c.id.in_(surplus)))

    def _drop_pending_codes(self, user_id: str) -> None:
        self._prepared(_drop_pending_codes).count(self._connection, owner=user_id)

    def _prune_enrollments(self, before: datetime) -> int:
        enrollments, codes = self._tables.enrollments, self._tables.backup_codes
        due = unlocked_batch(select(enrollments.c.id).where(enrollments.c.expires_at < before))
        statement = delete(enrollments).where(enrollments.c.id.in_(due)).returning(enrollments.c.id)
        expired = self._connection.execute(statement).scalars().all()
        if expired:
            pending = delete(codes).where(codes.c.set_id.in_(expired), codes.c.activated_at.is_(None))
            self._connection.execute(pending)
        return len(expired)


def _factor_of(tables: Tables) -> Select[Any]:
    factors = tables.factors
    return select(*columns(factors, TotpFactor)).where(factors.c.user_id == bindparam("owner"))


def _consume_step(tables: Tables) -> Update:
    factors = tables.factors
    step = bindparam("step", type_=factors.c.last_step.type)
    return (
        update(factors)
        .where(factors.c.id == bindparam("factor_id"), factors.c.last_step < step)
        .values(last_step=step)
    )


def _put_enrollment(tables: Tables, insert: NewInsert) -> Insert:
    enrollments = tables.enrollments
    row = {
        column.name: bindparam(f"new_{column.name}", type_=column.type)
        for column in columns(enrollments, Enrollment)
    }
    fresh = insert(enrollments).values(row)
    return fresh.on_conflict_do_update(
        index_elements=["user_id"], set_={name: fresh.excluded[name] for name in row}
    )


def _selectors(tables: Tables) -> Select[Any]:
    codes = tables.backup_codes
    return select(codes.c.selector).where(codes.c.user_id == bindparam("owner"))


def _live_codes(tables: Tables) -> ColumnElement[bool]:
    codes = tables.backup_codes
    return codes.c.activated_at.is_not(None) & codes.c.used_at.is_(None)


def _count_codes(tables: Tables) -> Select[Any]:
    codes = tables.backup_codes
    theirs = codes.c.user_id == bindparam("owner")
    return select(func.count().label("count")).select_from(codes).where(theirs, _live_codes(tables))


def _drop_pending_codes(tables: Tables) -> Delete:
    codes = tables.backup_codes
    return delete(codes).where(codes.c.user_id == bindparam("owner"), codes.c.activated_at.is_(None))


class kid_of(GenericFunction[str]):
    """The key id inside a sealed text, ``v1.<kid>.…`` (S12); counted in the database, which holds many."""

    type = Text()
    inherit_cache = True


@compiles(kid_of, "sqlite")
def _kid_of_in_sqlite(element: kid_of, compiler: SQLCompiler, **options: Any) -> str:
    sealed = compiler.process(element.clauses, **options)
    rest = f"substr({sealed}, instr({sealed}, '.') + 1)"
    return f"substr({rest}, 1, instr({rest}, '.') - 1)"


@compiles(kid_of, "postgresql")
def _kid_of_in_postgresql(element: kid_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"split_part({compiler.process(element.clauses, **options)}, '.', 2)"
