"""S5, S30: codes shown at enabling become valid at confirmation, though the server died while it hashed them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.conftest import StartServer
from tests.contract.api import Api, new_client
from tests.contract.people import People
from tests.support.settings import KEY


@pytest.mark.deep
async def test_server_killed_between_enabling_and_confirming(
    start_server: StartServer, database_url: str
) -> None:
    env = {"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_RATE_LIMIT_ENABLED": "false", "CZO_AUTH_TOTP_DRIFT": "10"}
    server = start_server(env=env, database_url=database_url)
    async with new_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=10)
        account, session = await people.newcomer()
        await people.enable(account, session)
        server.kill()
    server.start()
    async with new_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=10)
        answer = await people.verify(account.has.code(), bearer=session.token)
        assert answer.json()["verified"] is True
        for code in account.codes[:2]:
            challenge = await people.challenge(account)
            assert (await people.redeem(code, challenge=challenge)).json()["verified"] is True
