"""Key checks during other work: while others write, and while the same process enrolls, lists or is flooded."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks import data
from benchmarks.credentials_rows import (
    READ_AGAIN_SECONDS,
    REMEMBERED,
    UNIT,
    Loaded,
    Plan,
    hello,
    loaded,
    ours,
    remembering,
)
from benchmarks.growth import fill
from benchmarks.hosts.writer import A_SECOND
from benchmarks.load import Load, paced
from benchmarks.measure import HELLO, OURS, Row, Series, in_rounds
from benchmarks.people_rows import BURST, Person, Service, enable_once, serving
from benchmarks.subjects import Subject, running
from tests.support.postgres import PostgresServer

BESIDE = f"{REMEMBERED}, beside {A_SECOND} writes a second"
_READ_RARELY = f"{BESIDE}, read again after a minute"
FLOOD = 200
LISTED = 10_000
_SECONDS = 4.0
_WARM_SECONDS = 1.0
"""Enough to ask for each of the keys."""
_CONNECTED_SECONDS = 0.2
"""After this the checks are on their way."""
_LIMIT = 500


def write_rows(plan: Plan, directory: Path, postgres: PostgresServer | None) -> list[Row]:
    """Measure a cached key on a database that others write to, and on an idle one."""
    with loaded(plan.sizes[-1], directory, postgres) as resting:
        (directory / "written").mkdir()
    with loaded(plan.sizes[-1], directory / "written", postgres) as written:
        subjects = [
            hello(),
            # All 5,000: more keys than are used again between two writes.
            ours(REMEMBERED, resting, resting.tokens, **remembering(resting)),
            ours(BESIDE, written, written.tokens, **remembering(written)),
        ]
        if postgres is not None:
            rarely = {"CZO_AUTH_CACHE_SECONDS": "60"}
            subjects.append(ours(_READ_RARELY, written, written.tokens, **rarely))
        writer = Subject("writer", [sys.executable, "-m", "benchmarks.hosts.writer"], env=_env(written))
        with running([writer], directory) as writing, running(subjects, directory) as up:
            if not writing:
                raise RuntimeError("the writer does not start")
            # On PostgreSQL keys are forgotten after a time. So each is read again as often as under steady load.
            forgets = postgres is not None
            series = in_rounds(
                up,
                rounds=plan.rounds,
                seconds=READ_AGAIN_SECONDS if forgets else plan.seconds,
                watched=postgres,
                warm_seconds=_WARM_SECONDS if forgets else 0,
            )
    found = series[BESIDE]
    slower = statistics.median(
        beside / alone for beside, alone in zip(found.p99, series[REMEMBERED].p99, strict=True)
    )
    return [
        Row(
            operation=BESIDE,
            subject=OURS,
            database=written.database,
            keys=written.keys,
            cpu_us=found.cpu,
            rps=found.rate,
            value=found.ratio_to(series[HELLO]),
            unit=UNIT,
            target=1.5,
        ),
        Row(
            operation=f"p99 of that, beside {A_SECOND} writes a second",
            subject=OURS,
            database=written.database,
            keys=written.keys,
            value=slower,
            unit="x without",
        ),
        *([] if postgres is None else _divided(series, written)),
    ]


def _divided(series: Mapping[str, Series], written: Loaded) -> Iterator[Row]:
    """
    Divide the figure on PostgreSQL: by process, and by what the server does for a key.

    The database's time is that of all who use it, the writer included: the figure contains it, hello's does not.
    """

    def row(operation: str, value: float, unit: str) -> Row:
        return Row(
            operation=operation,
            subject=OURS,
            database=written.database,
            keys=written.keys,
            value=value,
            unit=unit,
        )

    for what, name in (("while hello is asked", HELLO), ("while keys are checked", BESIDE)):
        busy = statistics.median(series[name].database)
        yield row(f"CPU time of the database, beside {A_SECOND} writes a second: {what}", busy, "ms/s")
    for what, name in (
        ("hello", HELLO),
        ("a remembered key, without writes", REMEMBERED),
        (f"a remembered key, beside {A_SECOND} writes a second", BESIDE),
        (f"the same, each key read again after a minute instead of {READ_AGAIN_SECONDS} s", _READ_RARELY),
    ):
        found = series[name]
        yield row(f"CPU time of the server: {what}", statistics.median(found.server_us), "µs a request")
        if name != HELLO:
            yield row(
                f"CPU time of the database: {what}", statistics.median(found.database_us), "µs a request"
            )


def _env(base: Loaded) -> dict[str, str]:
    return data.environment(base.url)


def rows(directory: Path, *, rounds: int) -> list[Row]:
    """Measure the 99th percentile of key checks on one process, idle and while it does something else."""
    # The checks are sent and timed by a process of their own: one that opens 200 connections would time itself.
    checks = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with checks, serving(directory) as service:
        owner = service.newcomer()
        key = service.new_credential(owner)
        sent_away: list[int] = []
        beside = activities(service, directory, owner, sent_away)
        ratios: dict[str, list[float]] = {what: [] for what in beside}
        idle = []
        for _ in range(rounds):
            for what, act in beside.items():
                calm = asyncio.run(_checked(checks, service, key, None))
                busy = asyncio.run(_checked(checks, service, key, act))
                print(f"  {what}: {calm.p99:.1f} -> {busy.p99:.1f} ms", flush=True)
                idle.append(calm.p99)
                ratios[what].append(busy.p99 / calm.p99)
    return [
        Row(
            operation="a key check's p99, idle",
            subject=OURS,
            database="sqlite",
            value=statistics.median(idle),
            unit="ms",
        ),
        *(
            Row(
                operation=f"a key check's p99, {what}",
                subject=OURS,
                database="sqlite",
                value=statistics.median(found),
                unit="x idle",
                target=3,
            )
            for what, found in ratios.items()
        ),
        Row(
            operation=f"of {FLOOD} writes in the same instant, sent away with 503",
            subject=OURS,
            database="sqlite",
            value=float(max(sent_away)),
            unit="requests",
            target=0,
        ),
    ]


async def _checked(
    checks: ProcessPoolExecutor, service: Service, key: str, act: Callable[[], Awaitable[object]] | None
) -> Load:
    checking = asyncio.get_running_loop().run_in_executor(checks, _check, service.subject.port, key)
    if act is not None:
        await asyncio.sleep(_CONNECTED_SECONDS)
        await act()
    return await checking


def _check(port: int, key: str) -> Load:
    return asyncio.run(paced(port, "/api/auth/forward-auth", key, seconds=_SECONDS))


def activities(
    service: Service, directory: Path, owner: Person, sent_away: list[int]
) -> dict[str, Callable[[], Awaitable[object]]]:
    """
    Give what a process does beside key checks, by name, on a server that `serving` began in *directory*.

    Args:
        owner: Whose keys are listed and renamed.
        sent_away: Gets how many writes each flood was refused.
    """
    port = service.subject.port
    people = [service.newcomer() for _ in range(BURST)]
    organization = service.new_organization(owner)
    user_id = service.user_id(owner)
    names = [(owner, service.new_key(owner)) for _ in range(8)]
    database = f"sqlite:///{directory / 'people.sqlite3'}"
    fill.add_keys(database, user_id, dead=0, live=LISTED, since=1, organization_id=organization)

    async def enroll() -> None:
        await asyncio.gather(*(enable_once(port, person) for person in people))

    async def list_keys() -> None:
        path = f"/api/auth/organizations/{organization}/api-keys?limit={_LIMIT}"
        await asyncio.gather(
            *(paced(port, path, owner.token, seconds=_SECONDS, clients=1, pause=0) for _ in range(2))
        )

    async def flood() -> None:
        statuses = await asyncio.gather(
            *(_rename(port, *names[number % len(names)], number) for number in range(FLOOD))
        )
        sent_away.append(sum(status != 200 for status in statuses))

    return {
        f"{BURST} enables in the same instant": enroll,
        f"lists of {_LIMIT} of {LISTED:,} keys one after the other": list_keys,
        f"{FLOOD} writes in the same instant": flood,
    }


async def _rename(port: int, owner: Person, key_id: str, number: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"name": f"key {number}"})
    writer.write(
        (
            f"PATCH /api/auth/api-keys/{key_id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ", 2)[1])
