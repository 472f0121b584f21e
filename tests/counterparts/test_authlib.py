"""Authlib, unchanged: verifies exchanged tokens (RFC 9068), introspects (RFC 7662), reads the metadata (RFC 8414)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oauth2.rfc6750 import InvalidTokenError  # type: ignore[import-untyped]
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata  # type: ignore[import-untyped]
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator  # type: ignore[import-untyped]
from joserfc.jwk import KeySet
from pydantic import SecretStr

from czo_auth import Auth, Settings
from czo_auth.settings import DATABASE_FILE, KEY_FILE
from tests.contract.acting import create_key
from tests.contract.api import Api, new_client
from tests.contract.deployments import create_admin
from tests.contract.people import Account, People
from tests.counterparts.conftest import GRANT, KEY_TYPE, PASSWORD, SERVICE, Issuer

pytestmark = pytest.mark.deep


class Service(JWTBearerTokenValidator):  # type: ignore[misc]
    """The other service; all it knows is where the server publishes its keys."""

    def __init__(self, metadata: dict[str, Any], resource: str = SERVICE) -> None:
        super().__init__(issuer=metadata["issuer"], resource_server=resource)
        self._jwks_uri = metadata["jwks_uri"]

    def get_jwks(self) -> Any:
        return KeySet.import_key_set(httpx.get(self._jwks_uri).json())

    def accepts(self, token: str, *scopes: str) -> Any:
        claims = self.authenticate_token(token)
        self.validate_token(claims, list(scopes), None)
        return claims


def test_exchanged_token_is_verified_by_what_is_published(issuer: Issuer) -> None:
    key = issuer.key("orders:read", "orders:write")
    token = issuer.exchange(key["key"], audience=SERVICE, scope="orders:read")
    claims = Service(issuer.metadata).accepts(token, "orders:read")
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (issuer.user_id, key["id"], "orders:read")
    assert claims.header["typ"] == "at+jwt"


def test_token_for_somebody_else_is_refused_there(issuer: Issuer) -> None:
    key = issuer.key("orders:read")
    own = issuer.exchange(key["key"])
    with pytest.raises(InvalidTokenError):
        Service(issuer.metadata).accepts(own)
    token = issuer.exchange(key["key"], audience=SERVICE)
    with pytest.raises(InvalidTokenError):
        Service(issuer.metadata, "https://elsewhere.example.com").accepts(token)
    head, body, signature = token.split(".")
    with pytest.raises(InvalidTokenError):
        Service(issuer.metadata).accepts(f"{head}.{body}.{signature[::-1]}")


def test_exchange_by_a_client_of_authlib(issuer: Issuer) -> None:
    key = issuer.key("orders:read")
    with OAuth2Client(token_endpoint_auth_method="none") as client:
        token = client.fetch_token(
            issuer.metadata["token_endpoint"],
            grant_type=GRANT,
            subject_token=key["key"],
            subject_token_type=KEY_TYPE,
            audience=SERVICE,
        )
    assert token["token_type"] == "Bearer"
    assert 0 < token["expires_in"] <= 900
    assert Service(issuer.metadata).accepts(token["access_token"], "orders:read")


@pytest.fixture(scope="module")
def asking_key(issuer: Issuer) -> dict[str, Any]:
    """A key that may introspect, of an administrator."""

    async def make() -> dict[str, Any]:
        folder = issuer.server.data_directory
        key = (folder / KEY_FILE).read_text().strip()
        auth = Auth(
            Settings(database_url=f"sqlite:///{folder / DATABASE_FILE}", encryption_key=SecretStr(key))
        )
        account = Account(email="root@example.com")
        try:
            await auth.open()
            account.id = await create_admin(auth, account.email, now=auth.now())
        finally:
            await auth.stop()
        async with new_client(issuer.server.url) as http:
            people = People(Api(http), lambda: datetime.now(UTC))
            session = await people.enroll(account, await people.sign_in(account, "admin"))
            return await create_key(people.api, session, scopes=["api-keys:verify"])

    return asyncio.run(make())


def test_introspection_by_a_client_of_authlib(issuer: Issuer, asking_key: dict[str, Any]) -> None:
    key = issuer.key("orders:read")
    token = issuer.exchange(key["key"], audience=SERVICE)
    url = issuer.metadata["introspection_endpoint"]
    with OAuth2Client(client_id=asking_key["id"], client_secret=asking_key["key"]) as client:
        by_key = client.introspect_token(url, token=key["key"], token_type_hint="access_token").json()
        by_token = client.introspect_token(url, token=token).json()
        nobody = client.introspect_token(url, token="czo_" + "A" * 43).json()
    assert (by_key["active"], by_key["client_id"], by_key["scope"]) == (True, key["id"], "orders:read")
    assert (by_token["active"], by_token["aud"], by_token["sub"]) == (True, SERVICE, issuer.user_id)
    assert nobody == {"active": False}
    with OAuth2Client(client_id=key["id"], client_secret=key["key"]) as client:
        assert client.introspect_token(url, token=key["key"]).status_code == 403
    with OAuth2Client(client_id=asking_key["id"], client_secret=PASSWORD) as client:
        assert client.introspect_token(url, token=key["key"]).status_code == 401


@pytest.mark.parametrize(
    "name",
    [
        *("jwks_uri", "token_endpoint_auth_methods_supported", "grant_types_supported"),
        *("introspection_endpoint", "introspection_endpoint_auth_methods_supported"),
    ],
)
def test_metadata_is_valid(issuer: Issuer, name: str) -> None:
    metadata = json.loads(json.dumps(issuer.metadata).replace("http://", "https://"))
    getattr(AuthorizationServerMetadata(metadata), f"validate_{name}")()
