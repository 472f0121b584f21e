"""Counters of wrong passwords, in SQL."""

from __future__ import annotations

import math
from datetime import datetime

from sqlalchemy import BigInteger, case, delete, or_, select, type_coerce, update

from czo_auth.core.throttle import GuessCounters, GuessSchedule
from czo_auth.storage.column_types import MILLISECOND, to_milliseconds
from czo_auth.storage.store import Store, unlocked_batch


class SqlPasswordGuesses(Store, GuessCounters):
    """
    Implements `czo_auth.core.throttle.GuessCounters`.

    A counter is the time at which all of its guesses are forgotten: each guess postpones it by the time it takes to
    forget one. So a row alone tells how many are left and when it can be deleted.
    """

    def count(self, key: str, *, schedule: GuessSchedule, now: datetime) -> datetime | None:
        guesses = self._tables.password_guesses
        one = schedule.forgotten_after // MILLISECOND
        forgotten, present = type_coerce(guesses.c.forgotten_at, BigInteger), to_milliseconds(now)
        left = case((forgotten > present, forgotten), else_=present)
        first = self._insert(guesses).values(
            key=key, forgotten_at=now + schedule.forgotten_after, blocked_until=now
        )
        # The condition is part of the upsert, so it is evaluated on the row that is changed, after waiting for its
        # lock.
        counted = first.on_conflict_do_update(
            index_elements=["key"],
            set_={"forgotten_at": left + one},
            where=guesses.c.blocked_until <= now,
        ).returning(guesses.c.forgotten_at)
        forgotten_at = self._connection.execute(counted).scalar_one_or_none()
        if forgotten_at is None:
            waiting = select(guesses.c.blocked_until).where(guesses.c.key == key)
            until: datetime = self._connection.execute(waiting).scalar_one()
            return until
        pause = schedule.pause(math.ceil((forgotten_at - now) / schedule.forgotten_after))
        if pause:
            statement = update(guesses).where(guesses.c.key == key)
            self._connection.execute(statement.values(blocked_until=now + pause))
        return None

    def take_back(self, key: str, *, schedule: GuessSchedule, now: datetime) -> None:
        guesses = self._tables.password_guesses
        one = schedule.forgotten_after // MILLISECOND
        statement = update(guesses).where(guesses.c.key == key)
        fewer = type_coerce(guesses.c.forgotten_at, BigInteger) - one
        self._connection.execute(statement.values(forgotten_at=fewer, blocked_until=now))
        self._connection.execute(delete(guesses).where(guesses.c.key == key, guesses.c.forgotten_at <= now))

    def forget(self, key: str) -> None:
        guesses = self._tables.password_guesses
        self._connection.execute(delete(guesses).where(guesses.c.key == key))

    def keep_newest(self, limit: int) -> int:
        guesses = self._tables.password_guesses
        order = (guesses.c.forgotten_at.desc(), guesses.c.key.desc())
        first_beyond = select(guesses.c.forgotten_at, guesses.c.key).order_by(*order).offset(limit).limit(1)
        row = self._connection.execute(first_beyond).one_or_none()
        if row is None:
            return 0
        same_time = (guesses.c.forgotten_at == row.forgotten_at) & (guesses.c.key <= row.key)
        beyond = select(guesses.c.key).where(or_(guesses.c.forgotten_at < row.forgotten_at, same_time))
        return self._count(delete(guesses).where(guesses.c.key.in_(beyond.with_for_update(skip_locked=True))))

    def prune_forgotten(self, *, now: datetime) -> int:
        guesses = self._tables.password_guesses
        forgotten = select(guesses.c.key).where(guesses.c.forgotten_at <= now)
        return self._count(delete(guesses).where(guesses.c.key.in_(unlocked_batch(forgotten))))
