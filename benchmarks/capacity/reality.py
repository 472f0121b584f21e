"""The small cases that the simulation must reproduce, with a real process, real keys and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import data
from benchmarks.capacity.simulation import Load, drawn, recalled
from czo_auth import Auth
from czo_auth.storage.migrate import upgrade_blocking
from tests.support.postgres import PostgresServer

EXPONENT = 1.1
CASES = (
    Load(keys=500, checks_a_second=1000, changes_a_second=0, remembered=100, bound_seconds=60),
    Load(keys=5_000, checks_a_second=1000, changes_a_second=0, remembered=1_000, bound_seconds=60),
    Load(keys=5_000, checks_a_second=1000, changes_a_second=10, remembered=1_000, bound_seconds=60),
    Load(keys=5_000, checks_a_second=1000, changes_a_second=50, remembered=1_000, bound_seconds=60),
)


@dataclass(frozen=True)
class Compared:
    """A case as measured and as simulated: the share of the requests that the cache answered."""

    load: Load
    measured: float
    simulated: float


@dataclass(frozen=True)
class Cost:
    """
    CPU time of one check without a web server around it. Unit: µs.

    Attributes:
        recalled, asked: Of the process, for a key that it remembers and for one that it asks for.
        database: Of PostgreSQL, for one that is asked for.
    """

    recalled: float
    asked: float
    database: float


def compare(
    postgres: PostgresServer, *, requests: int, cases: tuple[Load, ...] = CASES
) -> Iterator[Compared]:
    """Run each case for real and in the simulation."""
    for load in cases:
        measured = asyncio.run(_measured(_filled(postgres, load.keys), load, requests))
        chance = random.Random(7)
        seconds = requests / load.checks_a_second
        simulated = [recalled(load, seconds=seconds, chance=chance, exponent=EXPONENT) for _ in range(5)]
        yield Compared(load, measured, sum(simulated) / len(simulated))


def cost(postgres: PostgresServer, *, requests: int, keys: int = 20_000) -> Cost:
    """Measure what a check costs, recalled and asked for with 32 at once."""
    return asyncio.run(_cost(postgres, _filled(postgres, keys), requests, keys))


def _filled(postgres: PostgresServer, keys: int) -> str:
    url = postgres.url(postgres.create_database())
    upgrade_blocking(url)
    data.fill_postgres(url, data.our_tables(keys, sessions=1, now=data.now()))
    return url


async def _measured(url: str, load: Load, requests: int) -> float:
    settings = data.settings(url, cache_seconds=60, remembered_credentials=load.remembered)
    auth, chance, asked = Auth(settings), random.Random(11), 0
    await auth.start()
    try:
        lookup: Any = auth.storage.lookup
        find = lookup.find_api_key

        async def counted(digest: str) -> Any:
            nonlocal asked
            asked += 1
            return await find(digest)

        lookup.find_api_key = counted
        fraction = load.changes_a_second / load.checks_a_second
        for number in range(requests):
            if number == requests // 5:
                asked = 0
            if chance.random() < fraction:
                await _change(auth, lookup)
            key = data.api_key(drawn(load.keys, chance, exponent=EXPONENT))
            await auth.authenticate.api_key(key, client=_client, now=auth.now())
        return 1 - asked / (requests - requests // 5)
    finally:
        await auth.stop()


async def _change(auth: Auth, lookup: Any) -> None:
    """Take a right away from a user, and wait until this process was notified."""
    before = lookup.change_token()
    now = auth.now()
    user = data.uuid("u", 0)
    await auth.services.transactions.run(
        lambda tx: tx.users.set_ban(user, banned_at=None, reason=None, now=now)
    )
    while lookup.change_token() is before:  # noqa: ASYNC110 - it comes from the database
        await asyncio.sleep(0)


async def _cost(postgres: PostgresServer, url: str, requests: int, keys: int) -> Cost:
    remembering = Auth(data.settings(url, cache_seconds=60))
    forgetful = Auth(data.settings(url, remembered_credentials=0))
    texts = [data.api_key(number % keys) for number in range(requests)]
    await remembering.start()
    await forgetful.start()
    try:
        some = texts[:100]
        for key in some:
            await remembering.authenticate.api_key(key, client=_client, now=remembering.now())
        begun = time.process_time()
        for number in range(requests):
            await remembering.authenticate.api_key(some[number % 100], client=_client, now=remembering.now())
        once = (time.process_time() - begun) / requests * 1e6
        begun, database = time.process_time(), _database_seconds(postgres)
        for at in range(0, requests, 32):
            await asyncio.gather(
                *(
                    forgetful.authenticate.api_key(key, client=_client, now=forgetful.now())
                    for key in texts[at : at + 32]
                )
            )
        asked = (time.process_time() - begun) / requests * 1e6
        return Cost(once, asked, (_database_seconds(postgres) - database) / requests * 1e6)
    finally:
        await remembering.stop()
        await forgetful.stop()


def _database_seconds(postgres: PostgresServer) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in postgres.processes)


def _client() -> str:
    return "192.0.2.7"
