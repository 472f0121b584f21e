"""A real server with a service beside it that knows nothing but what the server publishes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer

SERVICE = "https://orders.example.com"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
KEY_TYPE = "urn:czo-auth:token-type:api-key"
PASSWORD = "a long enough phrase"


@dataclass(frozen=True)
class Issuer:
    """What a client of the server knows: its metadata, and a key of its own."""

    server: RunningServer
    metadata: dict[str, Any]
    session: str
    user_id: str

    def key(self, *scopes: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.server.url}/api/auth/api-keys",
            json={"name": "a key", "scopes": list(scopes)},
            headers={"authorization": f"Bearer {self.session}"},
        )
        assert answer.status_code == 201, answer.text
        shown: dict[str, Any] = answer.json()["apiKey"]
        return shown

    def exchange(self, key: str, **more: str) -> str:
        form = {"grant_type": GRANT, "subject_token": key, "subject_token_type": KEY_TYPE, **more}
        answer = httpx.post(self.metadata["token_endpoint"], data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    env = {"CZO_AUTH_TOKEN_AUDIENCES": SERVICE, "CZO_AUTH_RATE_LIMIT_ENABLED": "false"}
    server = RunningServer(tmp_path_factory.mktemp("issuer"), env=env)
    server.start()
    account = {"email": "ida@example.com", "name": "Ida", "password": PASSWORD}
    signed_up = httpx.post(f"{server.url}/api/auth/sign-up/email", json=account)
    metadata = httpx.get(f"{server.url}/.well-known/oauth-authorization-server").json()
    yield Issuer(server, metadata, signed_up.headers["set-auth-token"], signed_up.json()["user"]["id"])
    server.stop()
