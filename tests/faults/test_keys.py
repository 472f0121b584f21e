"""S11, S13, S14: the encryption key of a real server missing, wrong or rotated, and sealed rows that do not open."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from tests.attacks.conftest import scattering_client
from tests.conftest import StartServer
from tests.contract.api import Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import DRIFT
from tests.contract.database import spoil, stored_secret
from tests.contract.databases import Databases
from tests.contract.outages import ENV
from tests.contract.people import People
from tests.support.server import RunningServer
from tests.support.settings import KEY

pytestmark = pytest.mark.deep

OTHER = base64.b64encode(bytes(range(32))).decode()


async def test_spoilt_secret_under_a_real_server_fails_closed_with_an_alarm(
    databases: Databases, start_server: StartServer
) -> None:
    url = databases.new()
    server = start_server(database_url=url, env=ENV, workers=2)
    async with scattering_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        seen = databases.prepared.seen_by(people)
        account, bystander = seen.customers[:2]
        spoilt = await spoil(url, account)
        challenge = await people.challenge(account)
        for code in (account.has.code(), account.has.wrong()):
            answer = await people.verify(code, challenge=challenge)
            refused(answer, 503, "SERVICE_UNAVAILABLE")
        assert "CRITICAL" in server.output()
        assert await stored_secret(url, account) == spoilt
        body = accepted(await people.redeem(account.codes[0], challenge=challenge))
        assert body["user"]["twoFactorEnabled"] is True
        assert (await people.sign_in(bystander)).body["session"]["aal"] == 2
    assert spoilt not in server.output()


@pytest.mark.deep
async def test_server_does_not_start_without_the_key_of_its_database(
    databases: Databases, start_server: StartServer
) -> None:
    url = databases.new()
    server = start_server(database_url=url, env=ENV)
    server.stop()
    sealed = await stored_secret(url, databases.prepared.customers[0])
    for what, keys in {"missing": "", "wrong": OTHER, "retired too early": f"k2:{OTHER}"}.items():
        server.env["AUTH_ENCRYPTION_KEY"] = keys
        server.launch()
        assert server.wait() != 0, what
    said = server.output()
    assert said.count("AUTH_ENCRYPTION_KEY") >= 3
    assert OTHER not in said
    assert "Traceback" not in said
    assert await stored_secret(url, databases.prepared.customers[0]) == sealed
    # The right one, and all is as it was.
    server.env["AUTH_ENCRYPTION_KEY"] = f"k2:{OTHER},k1:{KEY}"
    server.start()
    await _signs_in(server, databases)


async def _signs_in(server: RunningServer, databases: Databases) -> None:
    async with scattering_client(server.url) as http:
        people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
        account = databases.prepared.seen_by(people).customers[0]
        assert (await people.sign_in(account)).body["session"]["aal"] == 2
