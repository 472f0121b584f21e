"""What keeps a deployment that is embedded into a host from starting (docs/reference/settings.md; S11)."""

from __future__ import annotations

import base64
import os
from typing import Any

import httpx
import pytest

from czo_auth import Auth
from czo_auth.deployment import read_settings
from czo_auth.errors import StartRefused
from tests.contract.acting import UNKNOWN
from tests.contract.api import Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.databases import Databases
from tests.contract.people import People
from tests.support.settings import KEY, settings

OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()
MALFORMED = (
    "not base64",
    KEY[:-4],
    KEY + KEY,
    base64.b64encode(bytes(32)).decode(),
    base64.b64encode(b"ab" * 16).decode(),
    base64.b64encode(b"\xff" * 32).decode(),
    base64.b64encode(os.urandom(16)).decode(),
    f"k1:{KEY},k1:{OTHER_KEY}",
    f"k1:{KEY},",
    f":{KEY}",
    f"k 1:{KEY}",
)


@pytest.mark.parametrize("key", [None, "", "  "])
def test_missing_key_is_named_before_anything_else_happens(key: str | None, sqlite_url: str) -> None:
    with pytest.raises(StartRefused, match="AUTH_ENCRYPTION_KEY is missing"):
        Auth(settings(sqlite_url, encryption_key=key))


@pytest.mark.parametrize("environment", ["development", "production"])
def test_malformed_key_is_refused_and_never_shown(environment: str, sqlite_url: str) -> None:
    for key in MALFORMED:
        with pytest.raises(StartRefused, match="AUTH_ENCRYPTION_KEY is malformed") as refusal:
            Auth(settings(sqlite_url, encryption_key=key, environment=environment))
        for secret in key.replace(":", ",").split(","):
            assert len(secret) < 8 or secret not in str(refusal.value)


async def test_wrong_key_stops_the_start_and_every_request_of_a_host_that_continues(
    databases: Databases,
) -> None:
    auth = Auth(settings(databases.new(), encryption_key=OTHER_KEY))
    with pytest.raises(StartRefused, match="AUTH_ENCRYPTION_KEY is wrong") as refusal:
        await auth.start()
    assert OTHER_KEY not in str(refusal.value)
    async with new_client("http://auth.test", transport=httpx.ASGITransport(auth.app)) as http:
        api = Api(http)
        for answer in (
            await api.post("/customer/sign-in/email", {"email": "a@example.com", "password": "x" * 8}),
            await api.get("/whoami", bearer="czo_" + "A" * 43),
            await api.get("/session", bearer="czs_" + "A" * 43),
            await api.get(f"/api-keys/{UNKNOWN}"),
            await api.get("/jwks"),
        ):
            refused(answer, 503, "SERVICE_UNAVAILABLE")
    await auth.stop()


async def test_new_key_is_put_before_the_old_one_which_stays_until_nothing_needs_it(
    databases: Databases,
) -> None:
    url = databases.new()

    async def run(key: str) -> str | None:
        """Start with *key* and sign somebody in by a secret that was sealed long ago; gives a refusal's text."""
        auth = Auth(settings(url, encryption_key=key, totp_drift=10))
        try:
            await auth.start()
            transport = httpx.ASGITransport(auth.app)
            async with new_client("http://auth.test", transport=transport) as http:
                people = People(Api(http), clock=auth.now, drift=10)
                account = databases.prepared.seen_by(people).customers[len(tried)]
                tried.append(key)
                await people.sign_in(account)
        except StartRefused as refusal:
            return str(refusal)
        finally:
            await auth.stop()
        return None

    tried: list[Any] = []
    assert await run(f"k2:{OTHER_KEY},k1:{KEY}") is None
    refusal = await run(f"k2:{OTHER_KEY}")
    rows = await sql(url, "SELECT count(*) FROM {}factors WHERE sealed_secret LIKE 'v1.k1.%'")
    assert refusal is not None
    assert "AUTH_ENCRYPTION_KEY" in refusal
    assert "'k1'" in refusal
    counted = [int(word) for word in refusal.split() if word.isdecimal()]
    assert counted
    assert counted[0] >= rows[0][0] >= 1
    assert await run(f"k2:{KEY},k1:{OTHER_KEY}") is not None
    assert await run(f"k2:{OTHER_KEY},k1:{KEY}") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "mysql://user:hunter2@example/db"),
        ("api_key_prefix", "hunter2"),
        ("api_key_prefix", "czs_"),
        ("totp_drift", "hunter2"),
        ("base_url", "https://user:hunter2@/path"),
        ("environment", "hunter2"),
        ("workers", "hunter2"),
        ("port", "hunter2"),
        ("table_prefix", "hunter2; DROP"),
    ],
)
def test_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CZO_AUTH_{name.upper()}", value)
    with pytest.raises(StartRefused, match=f"CZO_AUTH_{name.upper()}") as refusal:
        read_settings()
    assert "hunter2" not in str(refusal.value)


async def test_tables_that_are_out_of_date_stop_the_start_where_migrating_is_switched_off(
    databases: Databases,
) -> None:
    url = databases.new()
    ((revision,),) = await sql(url, "SELECT version_num FROM {}version")
    await sql(url, "UPDATE {}version SET version_num = '0000'")
    auth = Auth(settings(url, auto_migrate=False))
    with pytest.raises(StartRefused, match="czo-auth migrate"):
        await auth.start()
    await sql(url, "UPDATE {}version SET version_num = $1", revision)
    await auth.start()
    async with new_client("http://auth.test", transport=httpx.ASGITransport(auth.app)) as http:
        accepted(await Api(http).get("/jwks"))
    await auth.stop()
