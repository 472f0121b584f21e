"""Attempts, challenges and trusted devices, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Integer,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    not_,
    or_,
    select,
    update,
)

from czo_auth.core.ids import is_id
from czo_auth.core.paging import Position
from czo_auth.core.two_factor.challenges import Challenges
from czo_auth.core.two_factor.factor import Challenge, TrustedDevice
from czo_auth.storage.column_types import Instant
from czo_auth.storage.store import PRUNED_AT_ONCE, Store, columns, values
from czo_auth.storage.tables import Tables

if TYPE_CHECKING:
    from sqlalchemy.sql.dml import Delete, ReturningInsert, ReturningUpdate, Update

    from czo_auth.storage.store import NewInsert


class SqlChallenges(Store, Challenges):
    """Implements `czo_auth.core.two_factor.challenges.Challenges`."""

    # attempts
    def reserve_attempt(self, user_id: str, *, now: datetime) -> int | None:
        failures: int | None = self._prepared_upsert(_reserve_attempt).value(
            self._connection, owner=user_id, now=now
        )
        return failures

    def lock_until(self, user_id: str, *, until: datetime | None, stopped: bool) -> None:
        attempts = self._tables.attempts
        fresh = self._insert(attempts).values(
            user_id=user_id, failures=0, locked_until=until, stopped=stopped
        )
        # An attempt that was reserved before a stop may finish after it, and must not undo it.
        self._connection.execute(
            fresh.on_conflict_do_update(
                index_elements=["user_id"],
                set_={
                    "locked_until": fresh.excluded.locked_until,
                    "stopped": or_(attempts.c.stopped, fresh.excluded.stopped),
                },
            )
        )

    def find_lock(self, user_id: str) -> tuple[datetime | None, bool]:
        attempts = self._tables.attempts
        statement = select(attempts.c.locked_until, attempts.c.stopped).where(attempts.c.user_id == user_id)
        row = self._connection.execute(statement).one_or_none()
        return (None, False) if row is None else (row.locked_until, row.stopped)

    def count_locks(self, *, now: datetime) -> tuple[int, int]:
        attempts = self._tables.attempts
        stopped = attempts.c.stopped
        locked = and_(not_(stopped), attempts.c.locked_until > now)
        statement = select(func.count(case((locked, 1))), func.count(case((stopped, 1))))
        for_a_time, until_reset = self._connection.execute(statement.select_from(attempts)).one()
        return for_a_time, until_reset

    def clear_attempts(self, user_id: str) -> None:
        self._prepared(_clear_attempts).count(self._connection, owner=user_id)

    def clear_stop(self, user_id: str) -> bool:
        attempts = self._tables.attempts
        statement = update(attempts).where(attempts.c.user_id == user_id, attempts.c.stopped)
        return self._count(statement.values(failures=0, stopped=False)) == 1

    # challenges
    def add_challenge(self, challenge: Challenge, *, digest: str, now: datetime) -> None:
        self._add(self._tables.challenges, {"digest": digest, "created_at": now, **values(challenge)})

    def drop_surplus_challenges(self, user_id: str, *, limit: int) -> None:
        self._prepared(_drop_surplus_challenges).count(self._connection, owner=user_id, beyond=limit)

    def find_challenge(self, digest: str, *, now: datetime) -> Challenge | None:
        challenges = self._tables.challenges
        live = select(*columns(challenges, Challenge)).where(
            challenges.c.digest == digest,
            challenges.c.consumed_at.is_(None),
            challenges.c.expires_at > now,
        )
        return self._one(Challenge, live)

    def claim_challenge(self, digest: str, *, now: datetime, max_attempts: int) -> Challenge | None:
        claimed = self._prepared(_claim_challenge)
        return claimed.one(self._connection, Challenge, presented=digest, now=now, max_attempts=max_attempts)

    def consume_challenge(self, challenge_id: str, *, now: datetime) -> bool:
        consumed = self._prepared(_consume_challenge)
        return consumed.count(self._connection, challenge_id=challenge_id, now=now) == 1

    def lock_challenges(self, user_id: str) -> None:
        challenges = self._tables.challenges
        if self._connection.dialect.name == "postgresql":
            statement = select(challenges.c.id).where(challenges.c.user_id == user_id)
            self._connection.execute(statement.order_by(challenges.c.id).with_for_update())

    def drop_challenges(self, user_id: str) -> None:
        challenges = self._tables.challenges
        self._connection.execute(delete(challenges).where(challenges.c.user_id == user_id))

    # trusted devices
    def add_trusted_device(self, device: TrustedDevice, *, digest: str) -> None:
        self._add(self._tables.trusted_devices, {"digest": digest, **values(device)})

    def find_trusted_device(self, digest: str, *, now: datetime) -> TrustedDevice | None:
        devices = self._tables.trusted_devices
        statement = select(*columns(devices, TrustedDevice))
        return self._one(
            TrustedDevice, statement.where(devices.c.digest == digest, devices.c.expires_at > now)
        )

    def rotate_trusted_device(self, device: TrustedDevice, *, old_digest: str, new_digest: str) -> bool:
        devices = self._tables.trusted_devices
        statement = update(devices).where(devices.c.id == device.id, devices.c.digest == old_digest)
        renewed = statement.values(
            digest=new_digest,
            user_agent=device.user_agent,
            ip=device.ip,
            last_used_at=device.last_used_at,
            expires_at=device.expires_at,
        )
        return self._count(renewed) == 1

    def drop_surplus_devices(self, user_id: str, *, limit: int) -> None:
        devices = self._tables.trusted_devices
        surplus = (
            select(devices.c.id)
            .where(devices.c.user_id == user_id)
            .order_by(devices.c.last_used_at.desc(), devices.c.id.desc())
            .offset(limit)
            .limit(PRUNED_AT_ONCE)
        )
        self._connection.execute(delete(devices).where(devices.c.id.in_(surplus)))

    def list_trusted_devices(
        self, user_id: str, *, after: Position | None = None, limit: int, now: datetime
    ) -> Sequence[TrustedDevice]:
        devices = self._tables.trusted_devices
        statement = select(*columns(devices, TrustedDevice)).where(
            devices.c.user_id == user_id, devices.c.expires_at > now
        )
        return self._all(TrustedDevice, self._page(statement, devices, after, limit=limit))

    def count_trusted_devices(self, user_id: str, *, now: datetime) -> int:
        devices = self._tables.trusted_devices
        return self._count_up_to(devices, devices.c.user_id == user_id, devices.c.expires_at > now)

    def drop_trusted_device(self, user_id: str, device_id: str) -> bool:
        if not is_id(device_id):
            return False
        devices = self._tables.trusted_devices
        statement = delete(devices).where(devices.c.id == device_id, devices.c.user_id == user_id)
        return self._count(statement) == 1

    def drop_trusted_devices(self, user_id: str) -> int:
        devices = self._tables.trusted_devices
        return self._count(delete(devices).where(devices.c.user_id == user_id))


def _reserve_attempt(tables: Tables, insert: NewInsert) -> ReturningInsert[Any]:
    attempts = tables.attempts
    first = insert(attempts).values(
        user_id=bindparam("owner", type_=String), failures=1, locked_until=None, stopped=False
    )
    # The condition is part of the upsert, so it is evaluated on the row that is changed, after waiting for its lock.
    open_at = or_(
        attempts.c.locked_until.is_(None), attempts.c.locked_until <= bindparam("now", type_=Instant)
    )
    return first.on_conflict_do_update(
        index_elements=["user_id"],
        set_={"failures": attempts.c.failures + 1},
        where=attempts.c.stopped.is_(False) & open_at,
    ).returning(attempts.c.failures)


def _clear_attempts(tables: Tables) -> Delete:
    attempts = tables.attempts
    return delete(attempts).where(attempts.c.user_id == bindparam("owner"))


def _drop_surplus_challenges(tables: Tables) -> Delete:
    challenges = tables.challenges
    surplus = (
        select(challenges.c.id)
        .where(challenges.c.user_id == bindparam("owner"))
        .order_by(challenges.c.created_at.desc(), challenges.c.id.desc())
        .offset(bindparam("beyond", type_=Integer))
        .limit(PRUNED_AT_ONCE)
    )
    return delete(challenges).where(challenges.c.id.in_(surplus))


def _claim_challenge(tables: Tables) -> ReturningUpdate[Any]:
    challenges = tables.challenges
    return (
        update(challenges)
        .where(
            challenges.c.digest == bindparam("presented"),
            challenges.c.consumed_at.is_(None),
            challenges.c.expires_at > bindparam("now"),
            challenges.c.attempts <= bindparam("max_attempts"),
        )
        .values(attempts=challenges.c.attempts + 1)
        .returning(*columns(challenges, Challenge))
    )


def _consume_challenge(tables: Tables) -> Update:
    challenges = tables.challenges
    now = bindparam("now", type_=Instant)
    return (
        update(challenges)
        .where(
            challenges.c.id == bindparam("challenge_id"),
            challenges.c.consumed_at.is_(None),
            challenges.c.expires_at > now,
        )
        .values(consumed_at=now)
    )
