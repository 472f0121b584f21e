"""S34: a sink that is down loses nothing, and one event that it cannot take holds up no other."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.attacks.conftest import scattering_client
from tests.conftest import StartServer
from tests.contract.acting import create_key, eventually
from tests.contract.api import Api
from tests.contract.database import sql
from tests.contract.databases import SqliteDatabases
from tests.contract.outages import ENV
from tests.contract.people import People
from tests.faults.kills import IN_FULL

pytestmark = pytest.mark.deep

DOWN_SECONDS = 150.0 if IN_FULL else 2.0


def arrived(path: Path) -> list[str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [str(json.loads(line)["id"]) for line in lines]


async def test_sink_that_is_down_loses_nothing_and_a_poison_event_is_dead_lettered(
    sqlite_databases: SqliteDatabases, start_server: StartServer, tmp_path: Path
) -> None:
    url = sqlite_databases.new()
    folder, away = tmp_path / "events", tmp_path / "away"
    folder.mkdir()
    path = folder / "events.jsonl"
    server = start_server(database_url=url, env=ENV | {"CZO_AUTH_EVENTS_FILE": str(path)}, workers=2)
    async with scattering_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC))
        _, session = await people.newcomer()
        folder.rename(away)
        for _ in range(5):
            await create_key(people.api, session)
        # What JSON has no word for: nothing of ours writes it, and a hand in the database may.
        ((poison,),) = await sql(url, "SELECT id FROM {}events ORDER BY sequence DESC LIMIT 1")
        await sql(url, "UPDATE {}events SET data = '{\"n\": NaN}' WHERE id = $1", poison)
        await asyncio.sleep(DOWN_SECONDS)
        # Neither requests nor later events suffer.
        for _ in range(5):
            await create_key(people.api, session)
        away.rename(folder)
        recorded = [event for (event,) in await sql(url, "SELECT id FROM {}events ORDER BY sequence")]

        async def all_came() -> bool:
            return len(set(arrived(path))) == len(recorded) - 1

        await eventually(all_came, within=60, every=0.1)
    assert list(dict.fromkeys(arrived(path))) == [event for event in recorded if event != poison]
    assert await sql(url, "SELECT id FROM {}parked_events") == [(poison,)]
    output = server.output()
    assert "its events wait" in output
    assert f"refused event {poison}" in output
