"""Move a source in with the command line, and use what came as its users would."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from czo_auth import Auth, Settings
from czo_auth.crypto import totp
from czo_auth.settings import KEY_FILE
from tests.cli.shell import Shell
from tests.importers.sources import SECRET, Made

FORMATS = {"CZO_AUTH_RETIRED_KEY_FORMATS": "shop_:69:2036-06-30"}
URL = "http://localhost:8000"


def import_from(shell: Shell, source: str, made: Made, *more: str) -> dict[str, Any]:
    """Run ``czo-auth import`` and return its report."""
    words = ["import", source, "--from", str(made.path), "--json", *more]
    if source.startswith("better-auth"):
        secret = made.path.with_name("secret.txt")
        secret.write_text(SECRET + "\n")
        words += ["--secret-file", str(secret)]
    report: dict[str, Any] = json.loads(shell.run(*words, env=FORMATS).stdout)
    return report


@dataclass
class Moved:
    """The deployment after the move, over HTTP without a network, some minutes later."""

    http: httpx.AsyncClient
    clock: Callable[[], datetime]

    async def sign_in(self, name: str) -> dict[str, Any]:
        """Sign in with the password of before; return the answer."""
        answer = await self.http.post(
            "/api/auth/sign-in/email",
            json={"email": f"{name}@example.com", "password": f"the old password of {name}"},
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def enter_code(self, challenge: str, secret: bytes) -> dict[str, Any]:
        """Finish a sign-in with a code of the old authenticator."""
        code = totp.hotp(secret, totp.step_at(self.clock()))
        answer = await self.http.post(
            "/api/auth/two-factor/verify", json={"code": code, "challenge": challenge}
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@asynccontextmanager
async def moved(data: Path) -> AsyncIterator[Moved]:
    """Open the deployment in *data*, with a clock that is five minutes ahead of the import."""
    settings = Settings(
        data_dir=data,
        base_url=URL,
        encryption_key=SecretStr((data / KEY_FILE).read_text().strip()),
        retired_key_formats=(FORMATS["CZO_AUTH_RETIRED_KEY_FORMATS"],),
    )

    def clock() -> datetime:
        now = datetime.now(UTC) + timedelta(minutes=5)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    auth = Auth(settings, clock=clock)
    transport = httpx.ASGITransport(auth.app)
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers={"origin": URL}) as http:
        await auth.start()
        try:
            yield Moved(http, clock)
        finally:
            await auth.stop()
