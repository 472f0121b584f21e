"""What the counters of wrong passwords promise."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from czo_auth.core.throttle import GuessSchedule
from tests.support.records import HOUR, NOW, SECOND, a_digest
from tests.support.rows import Rows

SCHEDULE = GuessSchedule(free=3, first_pause=SECOND, forgotten_after=timedelta(minutes=1))


async def count(rows: Rows, key: str, *, now: datetime = NOW) -> datetime | None:
    return await rows.run(lambda tx: tx.password_guesses.count(key, schedule=SCHEDULE, now=now))


async def test_guesses_beyond_the_free_ones_wait_twice_as_long_each_time(rows: Rows) -> None:
    key, now = a_digest(), NOW
    for _ in range(4):
        assert await count(rows, key, now=now) is None
    for pause in (1, 2, 4):
        until = now + SECOND * pause
        assert await count(rows, key, now=now) == until
        assert await count(rows, key, now=until - timedelta(milliseconds=1)) == until
        assert await count(rows, key, now=until) is None
        now = until


async def test_guesses_are_forgotten_one_by_one(rows: Rows) -> None:
    key = a_digest()
    for now in (NOW, NOW + 24 * HOUR):
        for _ in range(4):
            assert await count(rows, key, now=now) is None
        assert await count(rows, key, now=now) is not None
    later = NOW + 24 * HOUR + timedelta(minutes=2)
    assert [await count(rows, key, now=later) is None for _ in range(3)] == [True, True, False]


async def test_guess_that_was_right_is_taken_back_with_its_pause(rows: Rows) -> None:
    key = a_digest()
    for _ in range(20):
        assert await count(rows, key) is None
        await rows.run(lambda tx: tx.password_guesses.take_back(key, schedule=SCHEDULE, now=NOW))
    for _ in range(3):
        await count(rows, key)
    for _ in range(5):
        assert await count(rows, key) is None
        await rows.run(lambda tx: tx.password_guesses.take_back(key, schedule=SCHEDULE, now=NOW))
    assert await count(rows, key) is None
    assert await count(rows, key) is not None
    await rows.run(lambda tx: tx.password_guesses.forget(key))
    assert await count(rows, key) is None


async def test_guesses_at_once_are_all_counted(rows: Rows) -> None:
    key = a_digest()
    answers = await asyncio.gather(*[count(rows, key) for _ in range(12)])
    assert answers.count(None) == 4


async def test_those_stay_that_are_forgotten_last(rows: Rows) -> None:
    heavy, light = [a_digest() for _ in range(3)], [a_digest() for _ in range(4)]
    for key in [*heavy, *heavy, *light]:
        await count(rows, key)
    assert await rows.run(lambda tx: tx.password_guesses.keep_newest(7)) == 0
    assert await rows.run(lambda tx: tx.password_guesses.keep_newest(5)) == 2
    assert await rows.run(lambda tx: tx.password_guesses.keep_newest(3)) == 2
    for key in heavy:
        assert [await count(rows, key) for _ in range(2)] == [None, None]
        assert await count(rows, key) is not None


async def test_forgotten_counters_are_pruned(rows: Rows) -> None:
    for key in (a_digest(), a_digest()):
        await count(rows, key)
    before = NOW + timedelta(minutes=1) - timedelta(milliseconds=1)
    assert await rows.run(lambda tx: tx.password_guesses.prune_forgotten(now=before)) == 0
    after = NOW + timedelta(minutes=1)
    assert await rows.run(lambda tx: tx.password_guesses.prune_forgotten(now=after)) == 2
