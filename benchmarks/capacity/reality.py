"""The small cases that the simulation must reproduce, with a real process, real keys and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
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


def compare(
    postgres: PostgresServer, *, requests: int, cases: tuple[Load, ...] = CASES
) -> Iterator[Compared]:
    """Run each case for real and in the simulation."""
    for load in cases:
        measured = asyncio.run(_measured(filled(postgres, load.keys), load, requests))
        chance = random.Random(7)
        seconds = requests / load.checks_a_second
        simulated = [recalled(load, seconds=seconds, chance=chance, exponent=EXPONENT) for _ in range(5)]
        yield Compared(load, measured, sum(simulated) / len(simulated))


def filled(postgres: PostgresServer, keys: int) -> str:
    """Make a database with so many keys; return its address."""
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
            await auth.authenticate.api_key(key, client=client, now=auth.now())
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


def client() -> str:
    """Return the address that every check comes from."""
    return "192.0.2.7"
