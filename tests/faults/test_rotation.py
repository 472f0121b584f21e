"""S14: encryption and signing keys are rotated while four processes serve and one is killed; no sign-in fails."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.acting import eventually
from tests.contract.api import Api
from tests.contract.conftest import DRIFT
from tests.contract.outages import ENV
from tests.contract.people import People
from tests.faults.books import faults_of
from tests.faults.kills import still_counts
from tests.faults.users import Person, Users
from tests.support.fleet import Fleet
from tests.support.nginx import PROGRAM

pytestmark = [
    pytest.mark.deep,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed"),
]

K1 = "k1:NZ8cLu1Mn0ZQxkLgJgyE4M2QUjwpfHYGvPHGYlqUKxg="
K2 = "k2:mY2H5yqL0c9vPnZk3nq6u8mJY0cQm2kqVYx2QzLrM7o="
PROCESSES = 4


async def keys(*words: str, env: dict[str, str]) -> list[dict[str, object]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "czo_auth", "keys", *words, "--json"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, (words, error)
    return [json.loads(line) for line in out.splitlines()]


async def test_no_sign_in_fails_while_keys_are_rotated_and_a_process_is_killed(
    postgres_url: str, tmp_path: Path
) -> None:
    env = ENV | {"AUTH_ENCRYPTION_KEY": K1, "CZO_AUTH_API_KEY_LIMIT": "100000"}
    async with Fleet(tmp_path, database_urls=[postgres_url] * PROCESSES, env=env) as fleet:
        ring = fleet.servers[0].env
        async with fleet.client() as http:
            people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
            users = Users(people, [])
            users.known = [Person(*await people.enrolled()) for _ in range(3)]

            async def more_is_done() -> None:
                enough = users.memory.answered + 10

                async def much_is_done() -> bool:
                    return users.memory.answered >= enough

                await eventually(much_is_done, within=120)

            async def everywhere(text: str) -> None:
                for server in fleet.servers:
                    await fleet.restart(server, AUTH_ENCRYPTION_KEY=text)
                await more_is_done()

            async def rotate() -> None:
                await more_is_done()
                # First every process can open what the new key seals, then it seals.
                await everywhere(f"{K1},{K2}")
                await everywhere(f"{K2},{K1}")
                # Nobody was cut off by the restarts.
                assert users.memory.unanswered == []
                victim = fleet.servers[-1]
                rotating = asyncio.create_task(keys("rotate", env=ring))
                signing = asyncio.create_task(keys("rotate-signing", "--now", env=ring))
                await asyncio.sleep(0.3)
                victim.kill()
                await asyncio.gather(rotating, signing)
                await fleet.start(victim)
                await more_is_done()
                assert [(key["kid"], key["total"]) for key in await keys("status", env=ring)][1] == ("k1", 0)
                assert not any(rows["failed"] for rows in await keys("verify", env=ring))
                await everywhere(K2)

            await users.act(rotate())
            assert users.memory.wrong == []
            await users.try_again()
            await still_counts(users)
            verified = await keys("verify", env=ring)
            assert not any(rows["failed"] for rows in verified)
            assert all(rows["checked"] for rows in verified if rows["kind"] in ("factors", "signing keys"))
            assert (users.memory.wrong, await faults_of(postgres_url, users.memory)) == ([], [])
            print(f"{users.memory.answered} acknowledged writes, {len(users.memory.sessions)} sessions")
