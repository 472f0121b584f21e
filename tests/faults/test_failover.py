"""A primary that is lost while a crowd writes: its replica is promoted, and the servers find it by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.attacks.conftest import scattering_client
from tests.contract.acting import eventually
from tests.contract.api import Api
from tests.contract.conftest import DRIFT
from tests.contract.outages import ENV
from tests.contract.people import People
from tests.faults.books import faults_of
from tests.faults.kills import still_counts
from tests.faults.users import Person, Users
from tests.support.postgres import SUPERUSER, PostgresServer, Replica
from tests.support.server import RunningServer

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]
DATABASE = "shop"
DOWN_SECONDS = 2.0


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    settings = {"wal_level": "replica", "max_wal_senders": "4", "synchronous_commit": "on"}
    with PostgresServer(settings=settings) as primary:
        primary.execute(f"CREATE DATABASE {DATABASE}")
        yield primary


@pytest.fixture
def replica(primary: PostgresServer) -> Iterator[Replica]:
    with Replica(primary) as replica:
        # From now on a commit waits for the replica: what was acknowledged is on both.
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        yield replica


async def test_servers_use_the_promoted_replica_without_a_restart(
    primary: PostgresServer, replica: Replica, tmp_path: Path
) -> None:
    url = (
        f"postgresql://{SUPERUSER}:{primary.password}@127.0.0.1:{primary.port},127.0.0.1:{replica.port}/{DATABASE}"
        "?target_session_attrs=read-write"
    )
    server = RunningServer(tmp_path, database_url=url, workers=2, env=ENV | {"CZO_AUTH_CACHE_SECONDS": "5"})
    server.start()
    processes = {process.pid for process in server.processes}
    async with scattering_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        users = Users(people, [])
        users.known = [Person(*await people.enrolled()) for _ in range(2)]

        async def failover() -> None:
            async def much_is_done() -> bool:
                return users.memory.answered >= 20

            await eventually(much_is_done, within=60)
            primary.kill()
            await asyncio.sleep(DOWN_SECONDS)
            replica.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            replica.promote()
            before = users.memory.answered

            async def more_is_done() -> bool:
                return users.memory.answered >= before + 20

            await eventually(more_is_done, within=60)

        await users.act_through(failover())
        assert users.outages > 0
        await users.try_again()
        await still_counts(users)
        assert (users.memory.wrong, await faults_of(replica.url(DATABASE), users.memory)) == ([], [])
    assert {process.pid for process in server.processes} == processes
    server.stop()
