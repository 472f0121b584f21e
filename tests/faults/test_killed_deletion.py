"""S43: a server that is killed in the middle of a deletion leaves an account, or nothing of it."""

from __future__ import annotations

import asyncio

import pytest

from czo_auth.core.flows.administration.audit import ReadAuditLog
from tests.conftest import StartServer
from tests.contract.acting import eventually
from tests.contract.api import Api, new_client
from tests.contract.database import everything, sql
from tests.contract.people import PASSWORD
from tests.support.settings import KEY, settings

pytestmark = pytest.mark.deep

ENV = {"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_RATE_LIMIT_ENABLED": "false"}
DELAYS = (0.0, 0.01, 0.03, 0.1)
"""Seconds between the request and the kill."""


@pytest.mark.deep
async def test_account_is_whole_or_gone_without_a_trace(start_server: StartServer, database_url: str) -> None:
    server = start_server(env=ENV, database_url=database_url)
    emails = [f"victim-{number}@example.com" for number in range(len(DELAYS))]
    for email, delay in zip(emails, DELAYS, strict=True):
        async with new_client(server.url) as http:
            api = Api(http)
            body = {"email": email, "password": PASSWORD, "name": f"Name of {email}"}
            await api.post("/customer/sign-up", body)
            entered = await api.post("/customer/sign-in/email", {"email": email, "password": PASSWORD})
            token = entered.headers["set-auth-token"]
            for number in range(3):
                await api.post("/api-keys", {"name": f"{email} key {number}"}, bearer=token)
            deleting = asyncio.create_task(api.post("/delete-user", {}, bearer=token))
            await asyncio.sleep(delay)
            server.kill()
            await asyncio.gather(deleting, return_exceptions=True)
        server.start()

    async def is_settled() -> bool:
        return await sql(database_url, "SELECT user_id FROM {}erasures WHERE finished_at IS NULL") == []

    await eventually(is_settled, within=60)
    async with new_client(server.url) as http:
        api = Api(http)
        for email in emails:
            answer = await api.post("/customer/sign-in/email", {"email": email, "password": PASSWORD})
            assert answer.status_code in (200, 401)
            kept = await everything(database_url)
            assert (email in kept) is (answer.status_code == 200), email
    server.stop()
    from czo_auth import Auth

    auth = Auth(settings(database_url))
    await auth.open()
    try:
        assert (await ReadAuditLog(auth.services).verify_audit()).broken_at is None
    finally:
        await auth.stop()
