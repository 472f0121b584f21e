"""
S30: `kill -9` at random moments under load, and what is left of it.

``FAULT_KILLS`` says how often each deployment is killed: a few times in `make test`, and so often in `make faults` that
all three together make 200.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.attacks.conftest import scattering_client
from tests.contract.acting import eventually
from tests.contract.api import Api
from tests.contract.conftest import DRIFT
from tests.contract.database import is_sqlite, sql
from tests.contract.databases import Databases
from tests.contract.deployments import Prepared
from tests.contract.people import People
from tests.faults.books import faults_of
from tests.faults.kills import IN_FULL, is_whole, still_counts
from tests.faults.users import Users
from tests.support.server import RunningServer
from tests.support.settings import KEY

pytestmark = pytest.mark.each_database

KILLS = int(os.environ.get("FAULT_KILLS", "2"))
WORKERS = {"sqlite-1": 1, "sqlite-4": 4, "postgres-4": 4}
CRASH_LOOP_SECONDS = 6.0
"""A worker that dies again before ends the whole server: it would die again and again."""

OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'czo-auth' AND datname = current_database()"


@dataclass
class Deployment:
    """A deployment that is killed again and again."""

    url: str
    server: RunningServer
    events: Path
    workers: int
    prepared: Prepared
    last_worker_killed_at: float = field(default=0.0)

    async def kill(self) -> bool:
        """Kill the whole server, or one worker; says whether all are gone."""
        await asyncio.sleep(random.uniform(0.1, 0.8))
        one_is_enough = self.workers > 1 and random.random() < 0.5
        if one_is_enough and time.monotonic() > self.last_worker_killed_at + CRASH_LOOP_SECONDS:
            self.last_worker_killed_at = time.monotonic()
            random.choice(self.server.workers).kill()
            return False
        self.server.kill()
        return True

    async def settle(self) -> None:
        """Wait until nobody finishes what the dead had begun."""
        if is_sqlite(self.url):
            return

        async def nobody_is_connected() -> bool:
            return await sql(self.url, OURS) == []

        await eventually(nobody_is_connected, within=60)


# What one worker can lose, four can too.
@pytest.fixture(
    params=[
        pytest.param("sqlite-1", marks=pytest.mark.deep),
        "sqlite-4",
        pytest.param("postgres-4", marks=pytest.mark.deep),
    ]
)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    name: str = request.param
    databases: Databases = request.getfixturevalue(f"{name.partition('-')[0]}_databases")
    url = databases.new()
    env = {
        "AUTH_ENCRYPTION_KEY": KEY,
        "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
        "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
        "CZO_AUTH_EVENTS_FILE": str(tmp_path / "events.jsonl"),
        "CZO_AUTH_API_KEY_LIMIT": "100000",
    }
    server = RunningServer(tmp_path, database_url=url, workers=WORKERS[name], env=env, weak_hashes=True)
    server.start()
    try:
        yield Deployment(url, server, tmp_path / "events.jsonl", WORKERS[name], databases.prepared)
        server.stop()
    finally:
        server.kill()


def test_nothing_is_lost_or_half_done_when_the_server_is_killed(deployment: Deployment) -> None:
    seed = int(os.environ.get("FAULT_SEED", random.getrandbits(32)))
    print(f"FAULT_SEED={seed}")
    random.seed(seed)
    asyncio.run(kill_again_and_again(deployment))
    assert "Traceback" not in deployment.server.output()


async def kill_again_and_again(deployment: Deployment) -> None:
    async with scattering_client(deployment.server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        users = Users(people, deployment.prepared.seen_by(people).customers)
        await users.gather()
        unanswered = 0
        for round_number in range(KILLS):
            all_are_gone = False
            enough = users.memory.answered + 6

            async def much_is_done(enough: int = enough) -> bool:
                return users.memory.answered >= enough

            async def kill() -> None:
                nonlocal all_are_gone
                # A kill that falls where nothing is going on shows nothing.
                await eventually(much_is_done, within=60)
                all_are_gone = await deployment.kill()

            await users.act(kill())
            memory = users.memory
            unanswered += len(memory.unanswered)
            if all_are_gone:
                await deployment.settle()
                found = await faults_of(deployment.url, memory)
                assert (found, memory.wrong) == ([], []), f"after kill {round_number + 1}"
                deployment.server.start()
            await users.try_again()
            await still_counts(users)
            assert memory.wrong == [], f"after kill {round_number + 1}"
        if IN_FULL:
            await every_event_arrives(deployment)
        found = await faults_of(deployment.url, users.memory)
        assert found == []
        print(f"{KILLS} kills, {users.memory.answered} acknowledged writes, {unanswered} unanswered")
        assert unanswered >= KILLS / 4
        assert users.memory.answered > 5 * KILLS


async def every_event_arrives(deployment: Deployment) -> None:
    """S34: each at least once, and in order for each user at its first coming."""
    recorded = await sql(deployment.url, "SELECT id, user_id FROM {}events ORDER BY sequence")

    async def all_arrived() -> bool:
        ((recorded_to,),) = await sql(deployment.url, "SELECT max(sequence) FROM {}events")
        ((delivered_to,),) = await sql(deployment.url, "SELECT max(sequence) FROM {}sinks")
        return bool(delivered_to >= recorded_to)

    # Who died may have held the sink, for as long as its lease lasts.
    await eventually(all_arrived, within=60, every=0.2)
    lines = [line for line in deployment.events.read_text().splitlines() if is_whole(line)]
    arrived = list(dict.fromkeys(json.loads(line)["id"] for line in lines))
    assert arrived == [event for event, _ in recorded]
