"""Two versions on one database under load: forwards, back, and refused where they cannot run together."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from czo_auth.cli.command import CANNOT_START
from tests.contract.acting import eventually
from tests.contract.api import Api
from tests.contract.conftest import DRIFT
from tests.contract.outages import ENV
from tests.contract.people import People
from tests.faults.books import faults_of
from tests.faults.kills import still_counts
from tests.faults.users import Person, Users
from tests.migrations.versions import NEXT, earlier_version, next_version
from tests.support.fleet import Fleet
from tests.support.nginx import PROGRAM

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed"),
]

FIRST = "0afd699"
"""Its audit records are of another version: it cannot run beside this program."""
EARLIER = "954f5ca"
"""The first that reads which programs may run on the tables."""
REFUSED = "The database was migrated by a newer version of czo-auth"

Wait = Callable[[], Awaitable[None]]


async def migrate(env: dict[str, str], *, code: int = 0) -> str:
    """Run ``czo-auth migrate`` of the version that *env* names."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "czo_auth", "migrate"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == code, error
    return (out + error).decode()


@asynccontextmanager
async def crowded(fleet: Fleet, url: str, steps: Callable[[Wait], Awaitable[None]]) -> AsyncIterator[Users]:
    """Let a crowd act through *steps*; nothing may be refused, lost or half done."""
    async with fleet.client() as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        users = Users(people, [])
        users.known = [Person(*await people.enrolled()) for _ in range(2)]

        async def more_is_done() -> None:
            enough = users.memory.answered + 10

            async def much_is_done() -> bool:
                return users.memory.answered >= enough or bool(users.memory.wrong)

            await eventually(much_is_done, within=120)

        await users.act(steps(more_is_done))
        reported = [
            line
            for server in fleet.servers
            for line in server.output().splitlines()
            if "storage is unavailable" in line
        ]
        assert (users.memory.wrong, users.memory.unanswered) == ([], []), reported
        yield users
        await still_counts(users)
        assert (users.memory.wrong, await faults_of(url, users.memory)) == ([], [])


async def readiness(fleet: Fleet) -> list[int]:
    async with httpx.AsyncClient() as http:
        return [(await http.get(f"{server.url}/readyz")).status_code for server in fleet.servers]


async def test_next_version_comes_and_goes_without_a_failed_request(
    postgres_url: str, tmp_path: Path
) -> None:
    newer = next_version(tmp_path)
    env = ENV | {"CZO_AUTH_API_KEY_LIMIT": "100000"}
    async with Fleet(tmp_path, database_urls=[postgres_url] * 2, env=env) as fleet:
        first, second = fleet.servers

        async def forwards_and_back(more_is_done: Wait) -> None:
            await more_is_done()
            reported = await migrate(first.env | {"PYTHONPATH": newer})
            assert reported.startswith("the tables went from")
            # The old version serves on the expanded tables, and its balancer keeps it.
            await more_is_done()
            assert await readiness(fleet) == [200, 200]
            for server in (first, second):
                await fleet.restart(server, PYTHONPATH=newer)
                await more_is_done()
            for server in (first, second):
                await fleet.restart(server, PYTHONPATH="")
                await more_is_done()
            assert await readiness(fleet) == [200, 200]
            assert f"at {NEXT}, ahead of this program's" in await migrate(first.env)

        async with crowded(fleet, postgres_url, forwards_and_back):
            pass


async def test_earlier_version_and_this_one_serve_side_by_side(postgres_url: str, tmp_path: Path) -> None:
    older = earlier_version(EARLIER, tmp_path)
    env = ENV | {"CZO_AUTH_API_KEY_LIMIT": "100000", "PYTHONPATH": older}
    async with Fleet(tmp_path, database_urls=[postgres_url] * 2, env=env) as fleet:
        first, second = fleet.servers

        async def forwards_and_back(more_is_done: Wait) -> None:
            await more_is_done()
            await migrate(first.env | {"PYTHONPATH": ""})
            await more_is_done()
            assert await readiness(fleet) == [200, 200]
            for path in ("", older):
                for server in (first, second):
                    await fleet.restart(server, PYTHONPATH=path)
                    await more_is_done()

        async with crowded(fleet, postgres_url, forwards_and_back):
            pass


async def test_version_that_cannot_run_alongside_the_next_one_is_refused(
    postgres_url: str, tmp_path: Path
) -> None:
    newer = next_version(tmp_path, oldest=NEXT)
    async with Fleet(tmp_path, database_urls=[postgres_url], env=ENV) as fleet:
        (server,) = fleet.servers
        await migrate(server.env | {"PYTHONPATH": newer})
        # What still runs is taken out by its balancer, and does not come back.
        assert await readiness(fleet) == [503]
        await asyncio.to_thread(server.stop)
        server.launch()
        assert await asyncio.to_thread(server.wait) == CANNOT_START
        assert REFUSED in server.output()
        server.kill()


async def test_first_version_is_refused_on_the_tables_of_this_one(postgres_url: str, tmp_path: Path) -> None:
    older = earlier_version(FIRST, tmp_path)
    env = {"PATH": os.environ["PATH"], "CZO_AUTH_DATABASE_URL": postgres_url} | ENV
    # Forwards: what it made is brought up to date.
    await migrate(env | {"PYTHONPATH": older})
    assert "the tables went from 0003" in await migrate(env)
    assert REFUSED in await migrate(env | {"PYTHONPATH": older}, code=CANNOT_START)
