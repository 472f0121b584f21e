"""
S31: a database that fails while a crowd writes: each write is done or refused with 503, and nothing in between.

`tests/contract/test_faults.py` looks at single writes of every kind while SQLite is locked or its disk is full, and
while PostgreSQL hangs, restarts or is read-only.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.attacks.conftest import scattering_client
from tests.conftest import StartServer
from tests.contract.api import Api
from tests.contract.conftest import DRIFT
from tests.contract.database import is_sqlite, sql, sqlite_file
from tests.contract.databases import Databases, PostgresDatabases
from tests.contract.outages import ENV, all_of, all_unavailable, scenario
from tests.contract.people import People
from tests.faults.books import faults_of
from tests.faults.kills import IN_FULL, still_counts
from tests.faults.users import Person, Users
from tests.support.postgres import PostgresServer
from tests.support.processes import needs_file_limits
from tests.support.server import RunningServer

pytestmark = [pytest.mark.each_database, pytest.mark.deep]

LONGER_THAN_ANYBODY_WAITS = 6.5
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'czo-auth'"


@dataclass
class Deployment:
    """A deployment under outages, which the cases of one database share."""

    url: str
    server: RunningServer
    postgres: PostgresServer | None


# --- what may happen ---------------------------------------------------------------------------------------------
async def locked(deployment: Deployment) -> None:
    with closing(sqlite3.connect(sqlite_file(deployment.url), isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(LONGER_THAN_ANYBODY_WAITS)
        other.execute("ROLLBACK")


async def full(deployment: Deployment) -> None:
    processes = deployment.server.processes
    limits = [process.rlimit(psutil.RLIMIT_FSIZE) for process in processes]
    for process, (_, hard) in zip(processes, limits, strict=True):
        process.rlimit(psutil.RLIMIT_FSIZE, (4096, hard))
    await asyncio.sleep(1)
    for process, before in zip(processes, limits, strict=True):
        process.rlimit(psutil.RLIMIT_FSIZE, before)


async def paused(deployment: Deployment) -> None:
    assert deployment.postgres is not None
    deployment.postgres.pause()
    try:
        await asyncio.sleep(LONGER_THAN_ANYBODY_WAITS)
    finally:
        deployment.postgres.resume()


async def restarted(deployment: Deployment) -> None:
    # Not in a thread: the new server would end with it.
    assert deployment.postgres is not None
    deployment.postgres.restart()


async def cut(deployment: Deployment) -> None:
    for _ in range(10):
        await sql(deployment.url, CUT)
        await asyncio.sleep(0.1)


QUICK = {"sqlite": [full], "postgres": [cut]}
LONG = {"sqlite": [locked], "postgres": [paused, restarted]}
CASES = [
    pytest.param(
        kind, fault, id=f"{kind}-{fault.__name__}", marks=[needs_file_limits] if fault is full else []
    )
    for faults in ([QUICK, LONG] if IN_FULL else [QUICK])
    for kind, some in faults.items()
    for fault in some
]


@pytest.fixture(scope="module")
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    databases: Databases = request.getfixturevalue(f"{request.param}_databases")
    url = databases.new()
    directory: Path = tmp_path_factory.mktemp(f"outages-{request.param}")
    env = ENV | {"CZO_AUTH_API_KEY_LIMIT": "100000"}
    server = RunningServer(directory, database_url=url, workers=2, env=env, weak_hashes=True)
    server.start()
    yield Deployment(url, server, getattr(databases, "server", None))
    server.stop()


@pytest.mark.deep
@pytest.mark.parametrize(("deployment", "fault"), CASES, indirect=["deployment"])
async def test_writes_during_an_outage_are_done_or_refused(deployment: Deployment, fault: Any) -> None:
    async with scattering_client(deployment.server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        # People of its own, as the prepared ones run out of codes.
        users = Users(people, [])
        users.known = [Person(*await people.enrolled()) for _ in range(2)]
        statuses: set[int] = set()

        async def outage() -> None:
            await asyncio.sleep(0.3)
            async with reading(users, statuses):
                await fault(deployment)
                await asyncio.sleep(0.5)

        await users.act_through(outage())
        assert users.outages > 0 or fault is cut
        # Reads continue where they can, and an outage is never a verdict.
        assert statuses <= ({200} if is_sqlite(deployment.url) else {200, 503})
        await users.try_again()
        await still_counts(users)
        assert (users.memory.wrong, await faults_of(deployment.url, users.memory)) == ([], [])
    assert "Traceback" not in deployment.server.output()


@asynccontextmanager
async def reading(users: Users, statuses: set[int]) -> AsyncIterator[None]:
    """Read with a session all the while."""
    token = users.known[0].session.token

    async def read() -> None:
        while True:
            answer = await users.api.get("/api-keys", bearer=token)
            statuses.add(answer.status_code)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(read())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_read_only_role_refuses_writes_and_still_reads(
    postgres_databases: PostgresDatabases, start_server: StartServer
) -> None:
    url = postgres_databases.new()
    name = url.rpartition("/")[2]
    role, everything = f"clerk_{name}", "ALL TABLES IN SCHEMA public"
    for statement in (
        f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'",
        f"GRANT ALL ON {everything} TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
    ):
        await sql(url, statement)
    address = url.partition("@")[2]
    server = start_server(database_url=f"postgresql://{role}:clerk@{address}", env=ENV)
    async with scattering_client(server.url) as http:
        on = await scenario(Api(http), postgres_databases.prepared)
        await sql(url, f"REVOKE INSERT, UPDATE, DELETE ON {everything} FROM {role}")
        for answer in (await all_of(on.reads())).values():
            assert answer.status_code == 200
        all_unavailable(await all_of(on.writes()))
        await sql(url, f"GRANT ALL ON {everything} TO {role}")
        await on.nothing_was_consumed()
    assert "Traceback" not in server.output()
