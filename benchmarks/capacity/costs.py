"""
What one check of a key costs, in short rounds that take turns, so that other work on the machine disturbs all alike.

A process sends the lookups that wait at the same time in one query, so the cost of a lookup depends on how many wait.
It is measured for one at a time, which is the dearest, and for 32 at once.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psutil

from benchmarks import data
from benchmarks.capacity.reality import client, filled
from benchmarks.cpu import seconds_of_each
from czo_auth import Auth
from tests.support.postgres import PostgresServer

TOGETHER: Final = 32
"""Lookups that wait at the same time, in the rounds with many; fewer than one query takes."""
KEYS: Final = 20_000


@dataclass(frozen=True)
class Figure:
    """CPU time of one check, in each round. Unit: µs."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


@dataclass(frozen=True)
class Costs:
    """
    CPU time of one check without a web server around it.

    Attributes:
        recalled: Of the process, for a key from its cache.
        alone, alone_database: Of the process and of PostgreSQL, for keys that are asked for one at a time.
        together, together_database: The same for keys that are asked for 32 at once.
    """

    recalled: Figure
    alone: Figure
    alone_database: Figure
    together: Figure
    together_database: Figure


def measure(postgres: PostgresServer, *, requests: int, rounds: int) -> Costs:
    """
    Measure *rounds* rounds, after one that warms up.

    Args:
        requests: Checks of a round; one at a time, only a tenth of them.

    Raises:
        RuntimeError: The connections for lookups are not found, or are others at the end.
        psutil.NoSuchProcess: One of them was closed meanwhile.
    """
    url = filled(postgres, KEYS)
    return asyncio.run(_measured(postgres, url.rpartition("/")[2], url, requests, rounds))


async def _measured(postgres: PostgresServer, database: str, url: str, requests: int, rounds: int) -> Costs:
    # A key expires after a minute, and is asked for again: that falls into few rounds, and the median leaves them out.
    remembering = Auth(data.settings(url, cache_seconds=60))
    forgetful = Auth(data.settings(url, remembered_credentials=0))
    keys = [data.api_key(number % KEYS) for number in range(requests)]
    busy = [keys[number % data.BUSY] for number in range(requests)]
    few = keys[: requests // 10]
    await remembering.start()
    await forgetful.start()
    try:
        await _one_at_a_time(remembering, busy)
        await _together(forgetful, keys)
        backends = lookup_backends(postgres, database)
        found = [
            (
                await _spent(backends, _one_at_a_time(remembering, busy), requests),
                await _spent(backends, _one_at_a_time(forgetful, few), len(few)),
                await _spent(backends, _together(forgetful, keys), requests),
            )
            for _ in range(rounds + 1)
        ]
        if lookup_backends(postgres, database) != backends:
            raise RuntimeError("lookups were sent over a connection that was not counted")
    finally:
        await remembering.stop()
        await forgetful.stop()
    recalled, alone, together = (list(each) for each in zip(*found[1:], strict=True))
    return Costs(
        recalled=Figure(tuple(process for process, _ in recalled)),
        alone=Figure(tuple(process for process, _ in alone)),
        alone_database=Figure(tuple(database for _, database in alone)),
        together=Figure(tuple(process for process, _ in together)),
        together_database=Figure(tuple(database for _, database in together)),
    )


def lookup_backends(postgres: PostgresServer, database: str) -> set[psutil.Process]:
    """
    Find the processes of PostgreSQL whose last statement was a lookup: nothing else that it does counts.

    Raises:
        RuntimeError: There is none.
    """
    pids = postgres.execute(
        f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE '%= ANY($1)%'"
    )
    if not pids:
        raise RuntimeError("PostgreSQL has no connection for lookups")
    return {psutil.Process(int(pid)) for pid in pids.split()}


async def _spent(
    backends: set[psutil.Process], checks: Coroutine[Any, Any, None], number: int
) -> tuple[float, float]:
    """Return what one of *number* checks costs the process and PostgreSQL. Unit: µs."""
    database, process = sum(seconds_of_each(backends).values()), time.process_time()
    await checks
    process = time.process_time() - process
    database = sum(seconds_of_each(backends).values()) - database
    return process / number * 1e6, database / number * 1e6


async def _one_at_a_time(auth: Auth, keys: Sequence[str]) -> None:
    for key in keys:
        await auth.authenticate.api_key(key, client=client, now=auth.now())


async def _together(auth: Auth, keys: Sequence[str]) -> None:
    for at in range(0, len(keys), TOGETHER):
        await asyncio.gather(*(_one_at_a_time(auth, [key]) for key in keys[at : at + TOGETHER]))
