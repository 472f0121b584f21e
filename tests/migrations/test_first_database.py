"""What commit 0afd699 stored is read by today's code; see tests/fixtures/first_database/README.md."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from czo_auth import Auth, Settings
from czo_auth.storage.sqlite_file import database_path
from tests.cli.shell import Shell
from tests.fixtures.first_database.generate import totp
from tests.migrations.databases import upgrade_to

FOLDER = Path(__file__).parent.parent / "fixtures" / "first_database"
HELD: dict[str, Any] = json.loads((FOLDER / "secrets.json").read_text())
ADA, BEN = HELD["ada"], HELD["ben"]
LATER = datetime.fromisoformat(HELD["endedAt"]) + timedelta(minutes=1)
ORIGIN = "http://127.0.0.1:8000"


def load_sqlite(url: str) -> None:
    with closing(sqlite3.connect(database_path(url))) as connection:
        connection.executescript((FOLDER / "database.sql").read_text())


async def load_postgres(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Insert the rows of the SQLite file into a PostgreSQL database of the same revision."""
    await upgrade_to("0003", url, monkeypatch=monkeypatch)
    copy = f"sqlite:///{folder / 'copy.sqlite3'}"
    load_sqlite(copy)
    server = await asyncpg.connect(url)
    with closing(sqlite3.connect(database_path(copy))) as connection:
        connection.row_factory = sqlite3.Row
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'czo_auth_%'"
        tables = [str(row["name"]) for row in connection.execute(names)]
        try:
            await server.execute("SET session_replication_role = replica")  # no foreign keys, no triggers
            for table in tables:
                found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
                await server.execute(f"DELETE FROM {table}")
                await server.execute(
                    f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)",
                    json.dumps([await as_json(server, table, row) for row in found]),
                )
            sequence = "setval('czo_auth_events_sequence_seq', (SELECT max(sequence) FROM czo_auth_events))"
            await server.execute(f"SELECT {sequence}")
        finally:
            await server.close()


async def as_json(server: asyncpg.Connection, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return *row* with its JSON columns as objects: SQLite keeps them as text."""
    asked = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1"
    for (name,) in await server.fetch(f"{asked} AND data_type LIKE 'json%'", table):
        row[name] = None if row[name] is None else json.loads(row[name])
    return row


@pytest.fixture
async def first_url(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a database that the first version filled, not yet upgraded."""
    if database_url.startswith("sqlite:"):
        load_sqlite(database_url)
    else:
        await load_postgres(database_url, tmp_path, monkeypatch)
    return database_url


class Client:
    """A client of the upgraded deployment, whose clock a test may move."""

    def __init__(self, auth: Auth) -> None:
        self.auth = auth
        self.now = LATER

    async def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        bearer: str | None = None,
        cookies: dict[str, str] | None = None,
        status: int = 200,
    ) -> dict[str, Any]:
        headers = {"origin": ORIGIN} | ({"authorization": f"Bearer {bearer}"} if bearer else {})
        transport = httpx.ASGITransport(app=self.auth.app, client=("192.0.2.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=cookies) as client:
            answer = await client.request(method, f"/api/auth{path}", json=body, headers=headers)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found | {"sessionToken": answer.headers.get("set-auth-token")}

    def code(self, secret: str) -> str:
        self.now += timedelta(seconds=30)
        return totp(secret, self.now)

    async def challenge(self) -> str:
        body = {"email": "ada@example.com", "password": HELD["password"]}
        answer = await self.ask("POST", "/sign-in/email", body)
        assert answer["requires2FA"] is True
        return str(answer["challenge"])


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Client]:
    """Open the database with today's code, which upgrades it."""
    settings = Settings(
        database_url=url,
        data_dir=folder,
        encryption_key=HELD["encryptionKey"],
        base_url=ORIGIN,
        rate_limit_enabled=False,
    )
    clients: list[Client] = []
    auth = Auth(settings, clock=lambda: clients[0].now)
    clients.append(Client(auth))
    await auth.start()
    try:
        yield clients[0]
    finally:
        await auth.stop()


async def test_second_factor_of_the_first_version_signs_in(first_url: str, tmp_path: Path) -> None:
    async with opened(first_url, tmp_path) as client:
        body = {"challenge": ADA["challenge"], "code": client.code(ADA["totpSecret"])}
        assert (await client.ask("POST", "/two-factor/verify", body))["verified"] is True
        body = {"challenge": await client.challenge(), "code": client.code(ADA["totpSecret"])}
        assert (await client.ask("POST", "/two-factor/verify", body))["verified"] is True
        for code in ADA["backupCodes"]:
            body = {"challenge": await client.challenge(), "code": code}
            assert (await client.ask("POST", "/two-factor/verify-backup-code", body))["verified"] is True
        body = {"challenge": await client.challenge(), "code": ADA["backupCodes"][0]}
        await client.ask("POST", "/two-factor/verify-backup-code", body, status=401)


async def test_pending_enrollment_of_the_first_version_is_confirmed(first_url: str, tmp_path: Path) -> None:
    async with opened(first_url, tmp_path) as client:
        uri = await client.ask(
            "POST", "/two-factor/get-totp-uri", {"password": HELD["password"]}, bearer=BEN["session"]
        )
        assert BEN["pendingSecret"] in uri["totpURI"]
        body = {"code": client.code(BEN["pendingSecret"])}
        answer = await client.ask("POST", "/two-factor/verify", body, bearer=BEN["session"])
        state = await client.ask("GET", "/two-factor", bearer=answer["sessionToken"])
        assert (state["enabled"], state["backupCodesRemaining"]) == (True, 10)


async def test_trusted_device_of_the_first_version_skips_the_second_step(
    first_url: str, tmp_path: Path
) -> None:
    async with opened(first_url, tmp_path) as client:
        body = {"email": "ada@example.com", "password": HELD["password"]}
        answer = await client.ask("POST", "/sign-in/email", body, cookies=ADA["deviceCookie"])
        assert answer["requires2FA"] is False


async def test_sessions_and_refresh_tokens_of_the_first_version_live_on(
    first_url: str, tmp_path: Path
) -> None:
    async with opened(first_url, tmp_path) as client:
        state = await client.ask("GET", "/two-factor", bearer=ADA["session"])
        assert state["enabled"] is True
        refreshed = await client.ask("POST", "/token/refresh", {"refreshToken": ADA["refreshToken"]})
        await client.ask("GET", "/sessions", bearer=refreshed["accessToken"])
        keys = await client.ask("GET", "/jwks")
        assert len(keys["keys"]) == 1  # the stored signing key was opened, no second one was made


async def test_api_keys_of_the_first_version_are_what_they_were(first_url: str, tmp_path: Path) -> None:
    async with opened(first_url, tmp_path) as client:
        for name, organization in (("apiKey", None), ("organizationKey", HELD["organizationId"])):
            answer = await client.ask("GET", "/whoami", bearer=ADA[name])
            assert answer["organizationId"] == organization, answer
        await client.ask("GET", "/whoami", bearer=ADA["revokedKey"], status=401)


async def test_invitation_mailed_by_the_first_version_is_shown(first_url: str, tmp_path: Path) -> None:
    async with opened(first_url, tmp_path) as client:
        found = await client.ask("GET", f"/organizations/{HELD['organizationId']}", bearer=ADA["session"])
        assert found["organization"]["name"] == "Acme"
        invitations = await client.ask(
            "GET", f"/organizations/{HELD['organizationId']}/invitations", bearer=ADA["session"]
        )
        assert [each["email"] for each in invitations["invitations"]] == ["ben@example.com"]


async def test_audit_chain_of_the_first_version_verifies_and_continues(
    first_url: str, tmp_path: Path
) -> None:
    async with opened(first_url, tmp_path) as client:
        await client.ask("POST", "/api-keys", {"name": "later"}, bearer=ADA["session"], status=201)
    env = {"AUTH_ENCRYPTION_KEY": HELD["encryptionKey"], "CZO_AUTH_DATABASE_URL": first_url}
    Shell(tmp_path, env=env).run("audit", "verify")
