"""S30, S42: what a server that is killed leaves of requests that may be repeated."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest

from tests.conftest import StartServer
from tests.contract.acting import eventually
from tests.contract.api import Answer, Api, new_client
from tests.contract.database import sql
from tests.contract.people import People, Session
from tests.support.settings import KEY

pytestmark = pytest.mark.deep

ENV = {"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_RATE_LIMIT_ENABLED": "false"}
DELAYS = (0.0, 0.01, 0.02, 0.05, 0.1)
"""Seconds between the requests and the kill."""
AT_ONCE = 8
MADE = "SELECT name FROM {}api_keys WHERE name LIKE 'repeated%'"


async def create(api: Api, session: Session, name: str, *, patient: bool = False) -> Answer:
    """Ask for a key; somebody patient asks again for as long as the server has no time."""
    headers = {"idempotency-key": name}
    for _ in range(30):
        answer = await api.post("/api-keys", {"name": name}, bearer=session.token, headers=headers)
        if answer.status_code != 503 or not patient:
            break
        await asyncio.sleep(1)
    return answer


@pytest.mark.deep
async def test_repeated_request_makes_one_key_over_a_crash(
    start_server: StartServer, database_url: str
) -> None:
    """Who was answered gets the same answer; who was not gets it, a new one, or 409: never a second key."""
    server = start_server(env=ENV, database_url=database_url)
    async with new_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=1)
        session = await people.sign_in(await people.sign_up())
    for turn, delay in enumerate(DELAYS):
        names = [f"repeated-{turn}-{number}" for number in range(AT_ONCE)]

        async with new_client(server.url) as http:
            asked = [asyncio.create_task(create(Api(http), session, name)) for name in names]
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))
            server.kill()
            first = await asyncio.gather(*asked, return_exceptions=True)
        server.start()
        async with new_client(server.url) as http:
            for name, before in zip(names, first, strict=True):
                for _ in range(2):
                    again = await create(Api(http), session, name, patient=True)
                    assert again.status_code in (201, 409), again.text
                    if not isinstance(before, BaseException) and before.status_code == 201:
                        assert (again.status_code, again.json()) == (before.status_code, before.json())
                    elif again.status_code == 409:
                        assert again.json()["code"] == "REQUEST_IN_PROGRESS"
    made = [name for (name,) in await sql(database_url, MADE)]
    assert sorted(made) == sorted(set(made))
    server.stop()


@pytest.mark.deep
async def test_kept_answers_are_deleted_on_time_after_the_crash(
    start_server: StartServer, database_url: str
) -> None:
    server = start_server(env=ENV, database_url=database_url)
    async with new_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=1)
        session = await people.sign_in(await people.sign_up())
        assert (await create(people.api, session, "repeated", patient=True)).status_code == 201
    server.kill()
    # Ten minutes later.
    await sql(database_url, "UPDATE {}kept_answers SET expires_at = 1 WHERE sealed IS NOT NULL")
    server.start()

    async def none_is_left() -> bool:
        return await sql(database_url, "SELECT id FROM {}kept_answers") == []

    # Housekeeping looks every 30 seconds.
    await eventually(none_is_left, within=120, every=0.5)
    server.stop()
