"""What commit 0afd699 stored is read by today's code; see tests/fixtures/first_database/README.md."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from czo_auth import Auth, Settings
from tests.cli.shell import Shell
from tests.fixtures.first_database.generate import totp

FOLDER = Path(__file__).parent.parent / "fixtures" / "first_database"
HELD: dict[str, Any] = json.loads((FOLDER / "secrets.json").read_text())
ADA, BEN = HELD["ada"], HELD["ben"]
LATER = datetime.fromisoformat(HELD["endedAt"]) + timedelta(minutes=1)
ORIGIN = "http://127.0.0.1:8000"


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
    """Open the database with today's code."""
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


async def test_second_factor_of_the_first_version_signs_in(upgraded_url: str, tmp_path: Path) -> None:
    async with opened(upgraded_url, tmp_path) as client:
        body = {"challenge": ADA["challenge"], "code": client.code(ADA["totpSecret"])}
        assert (await client.ask("POST", "/two-factor/verify", body))["verified"] is True
        body = {"challenge": await client.challenge(), "code": client.code(ADA["totpSecret"])}
        assert (await client.ask("POST", "/two-factor/verify", body))["verified"] is True
        for code in ADA["backupCodes"][:2]:
            body = {"challenge": await client.challenge(), "code": code}
            assert (await client.ask("POST", "/two-factor/verify-backup-code", body))["verified"] is True
        body = {"challenge": await client.challenge(), "code": ADA["backupCodes"][0]}
        await client.ask("POST", "/two-factor/verify-backup-code", body, status=401)


async def test_pending_enrollment_of_the_first_version_is_confirmed(
    upgraded_url: str, tmp_path: Path
) -> None:
    async with opened(upgraded_url, tmp_path) as client:
        uri = await client.ask(
            "POST", "/two-factor/get-totp-uri", {"password": HELD["password"]}, bearer=BEN["session"]
        )
        assert BEN["pendingSecret"] in uri["totpURI"]
        body = {"code": client.code(BEN["pendingSecret"])}
        answer = await client.ask("POST", "/two-factor/verify", body, bearer=BEN["session"])
        state = await client.ask("GET", "/two-factor", bearer=answer["sessionToken"])
        assert (state["enabled"], state["backupCodesRemaining"]) == (True, 10)


async def test_trusted_device_of_the_first_version_skips_the_second_step(
    upgraded_url: str, tmp_path: Path
) -> None:
    async with opened(upgraded_url, tmp_path) as client:
        body = {"email": "ada@example.com", "password": HELD["password"]}
        answer = await client.ask("POST", "/sign-in/email", body, cookies=ADA["deviceCookie"])
        assert answer["requires2FA"] is False


async def test_sessions_and_refresh_tokens_of_the_first_version_live_on(
    upgraded_url: str, tmp_path: Path
) -> None:
    async with opened(upgraded_url, tmp_path) as client:
        state = await client.ask("GET", "/two-factor", bearer=ADA["session"])
        assert state["enabled"] is True
        refreshed = await client.ask("POST", "/token/refresh", {"refreshToken": ADA["refreshToken"]})
        await client.ask("GET", "/sessions", bearer=refreshed["accessToken"])
        keys = await client.ask("GET", "/jwks")
        assert len(keys["keys"]) == 1  # the stored signing key was opened, no second one was made


async def test_api_keys_of_the_first_version_are_what_they_were(upgraded_url: str, tmp_path: Path) -> None:
    async with opened(upgraded_url, tmp_path) as client:
        for name, organization in (("apiKey", None), ("organizationKey", HELD["organizationId"])):
            answer = await client.ask("GET", "/whoami", bearer=ADA[name])
            assert answer["organizationId"] == organization, answer
        await client.ask("GET", "/whoami", bearer=ADA["revokedKey"], status=401)


async def test_invitation_mailed_by_the_first_version_is_shown(upgraded_url: str, tmp_path: Path) -> None:
    async with opened(upgraded_url, tmp_path) as client:
        found = await client.ask("GET", f"/organizations/{HELD['organizationId']}", bearer=ADA["session"])
        assert found["organization"]["name"] == "Acme"
        invitations = await client.ask(
            "GET", f"/organizations/{HELD['organizationId']}/invitations", bearer=ADA["session"]
        )
        assert [each["email"] for each in invitations["invitations"]] == ["ben@example.com"]


async def test_audit_chain_of_the_first_version_verifies_and_continues(
    upgraded_url: str, tmp_path: Path
) -> None:
    async with opened(upgraded_url, tmp_path) as client:
        await client.ask("POST", "/api-keys", {"name": "later"}, bearer=ADA["session"], status=201)
    env = {"AUTH_ENCRYPTION_KEY": HELD["encryptionKey"], "CZO_AUTH_DATABASE_URL": upgraded_url}
    Shell(tmp_path, env=env).run("audit", "verify")
