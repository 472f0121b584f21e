"""MCP servers that take keys and tokens: of the official SDK and of FastMCP, used by their own clients over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastmcp
import httpx
import httpx2
import pytest
import uvicorn
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl, SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from czo_auth import Auth, Settings
from czo_auth.crypto.sealing import new_key_text
from czo_auth.integrations.mcp import introspection_verifier, token_verifier
from tests.integrations.acting import (
    BASE,
    body_of,
    create_key,
    revoke_key,
    settle_administrator,
    sign_in,
    sign_up,
)
from tests.integrations.acting import enroll as enroll_factor
from tests.support.ports import free_port

FRAMEWORKS = ("sdk", "fastmcp")
BY_INTROSPECTION = pytest.param(True, marks=pytest.mark.deep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A host with an MCP server at ``/mcp``."""

    auth: Auth
    client: httpx.AsyncClient
    url: str

    @property
    def mcp(self) -> str:
        return f"{self.url}/mcp"

    async def post(self, headers: dict[str, str]) -> httpx.Response:
        """Send the first message of a client."""
        first = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        }
        accept = {"accept": "application/json, text/event-stream"}
        return await self.client.post(self.mcp, json=first, headers={**accept, **headers})


def who() -> dict[str, Any]:
    """Say who calls."""
    caller = get_access_token()
    assert caller is not None
    return {"client_id": caller.client_id, "subject": caller.subject, "scopes": caller.scopes}


def mcp_app(framework: str, verifier: Any, resource: Any) -> Any:
    """Build an MCP server with one tool, by its framework's own means."""
    if framework == "fastmcp":
        theirs = fastmcp.FastMCP("test", auth=verifier)
        theirs.tool(who)
        return theirs.http_app(path="/mcp")
    server = MCPServer(
        "test",
        log_level="ERROR",
        token_verifier=verifier,
        auth=AuthSettings(
            issuer_url=AnyHttpUrl(resource.issuer),
            resource_server_url=AnyHttpUrl(resource.resource),
            required_scopes=list(resource.scopes),
            validate_token_resource=True,
        ),
    )
    server.tool()(who)
    return server.streamable_http_app()


@asynccontextmanager
async def listening(app: ASGIApp, port: int) -> AsyncIterator[None]:
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
    running = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def served(
    framework: str, database_url: str, *, elsewhere: bool = False, audiences: bool = False, **settings: Any
) -> AsyncIterator[Served]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    auth = Auth(
        Settings(
            database_url=database_url,
            encryption_key=SecretStr(new_key_text()),
            base_url=url,
            rate_limit_enabled=False,
            token_audiences=(f"{url}/mcp", f"{url}/other") if audiences else (),
            **settings,
        )
    )
    resource = auth.protected_resource(f"{url}/mcp", ["orders:read"], name="Orders")
    if elsewhere:
        key = await asking_key(auth)
        verifier = introspection_verifier(
            f"{url}{BASE}", key, resource=resource.resource, scopes=resource.scopes
        )
    else:
        verifier = token_verifier(auth, resource=resource.resource, scopes=resource.scopes)
    inner: Any = mcp_app(framework, verifier, resource)
    host = Starlette(
        routes=[Mount(BASE, auth.app), Mount("/", inner)], lifespan=inner.router.lifespan_context
    )
    async with listening(resource.protect(host), port), httpx.AsyncClient(base_url=url) as client:
        try:
            yield Served(auth=auth, client=client, url=url)
        finally:
            if elsewhere:
                await verifier.close()
            await auth.stop()


async def asking_key(auth: Auth) -> str:
    """Make a key that may introspect."""
    transport = httpx.ASGITransport(Starlette(routes=[Mount(BASE, auth.app)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        await auth.start()
        root = await sign_in(client, await settle_administrator(auth), actor="admin")
        root = await enroll_factor(client, root)
        _, bearer = await create_key(client, root, scopes=["api-keys:verify"])
        return bearer["authorization"].removeprefix("Bearer ")


def replace_by_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


async def ask_who(url: str, bearer: dict[str, str]) -> Any:
    """Ask by the official client, which sends the key as a static header."""
    async with (
        httpx2.AsyncClient(headers=bearer) as http,
        streamable_http_client(url, http_client=http) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        assert [tool.name for tool in (await session.list_tools()).tools] == ["who"]
        return (await session.call_tool("who", {})).structured_content


@pytest.mark.parametrize("elsewhere", [False, BY_INTROSPECTION], ids=["same process", "by introspection"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_client_with_a_key_calls_a_tool_until_the_key_is_revoked(
    framework: str, elsewhere: bool, migrated_sqlite_url: str
) -> None:
    async with served(framework, migrated_sqlite_url, elsewhere=elsewhere) as host:
        person = await sign_up(host.client)
        key_id, bearer = await create_key(host.client, person, scopes=["orders:read", "orders:write"])
        said = await ask_who(host.mcp, bearer)
        assert said["client_id"] == key_id
        assert said["scopes"] == ["orders:read", "orders:write"]
        text = bearer["authorization"].removeprefix("Bearer ")
        async with fastmcp.Client(host.mcp, auth=text) as theirs:
            assert (await theirs.call_tool("who", {})).data == said
        await revoke_key(host.client, person, key_id)
        assert (await host.post(bearer)).status_code == 401


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_refusals_name_the_metadata_and_the_scopes(framework: str, migrated_sqlite_url: str) -> None:
    async with served(framework, migrated_sqlite_url) as host:
        person = await sign_up(host.client)
        _, narrow = await create_key(host.client, person, scopes=["orders:write"])
        found = f"{host.url}/.well-known/oauth-protected-resource/mcp"
        for headers, status in (({}, 401), ({"authorization": "Bearer czo_no"}, 401), (narrow, 403)):
            answer = await host.post(headers)
            assert answer.status_code == status
            challenge = answer.headers["www-authenticate"]
            assert f'resource_metadata="{found}"' in challenge
            assert 'scope="orders:read"' in challenge
            assert challenge.count("resource_metadata=") == challenge.count("scope=") == 1
        described = body_of(await host.client.get(found), status=200)
        assert described == {
            "resource": host.mcp,
            "authorization_servers": [host.url],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["orders:read"],
            "resource_name": "Orders",
        }


@pytest.mark.parametrize("elsewhere", [False, BY_INTROSPECTION], ids=["same process", "by introspection"])
async def test_token_counts_for_its_own_resource_only(elsewhere: bool, migrated_sqlite_url: str) -> None:
    async with served("sdk", migrated_sqlite_url, elsewhere=elsewhere, audiences=True) as host:
        person = await sign_up(host.client)
        _, bearer = await create_key(host.client, person, scopes=["orders:read"])

        async def exchanged(audience: str | None) -> dict[str, str]:
            form = {
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token": bearer["authorization"].removeprefix("Bearer "),
                "subject_token_type": "urn:czo-auth:token-type:api-key",
            }
            if audience is not None:
                form["audience"] = audience
            body = body_of(await host.client.post(f"{BASE}/token/exchange", data=form), status=200)
            return {"authorization": f"Bearer {body['access_token']}"}

        assert (await host.post(await exchanged(host.mcp))).status_code == 200
        for elsewhere_valid in (
            await exchanged(f"{host.url}/other"),
            await exchanged(None),
            {"authorization": f"Bearer {person.access_token}"},
            person.bearer,
        ):
            assert (await host.post(elsewhere_valid)).status_code == 401


async def test_session_has_the_scopes_of_its_user_where_tokens_are_for_the_deployment(
    migrated_sqlite_url: str,
) -> None:
    rule = {"customer": ["orders:read"]}
    async with served("sdk", migrated_sqlite_url, scope_rule=rule) as host:
        person = await sign_up(host.client)
        assert (await ask_who(host.mcp, person.bearer))["scopes"] == ["orders:read"]


@pytest.mark.parametrize("elsewhere", [False, BY_INTROSPECTION], ids=["same process", "by introspection"])
async def test_restricted_key_is_judged_by_the_clients_address(
    elsewhere: bool, migrated_sqlite_url: str
) -> None:
    async with served("sdk", migrated_sqlite_url, elsewhere=elsewhere) as host:
        person = await sign_up(host.client)

        async def key(**more: object) -> dict[str, str]:
            body = {"name": "k", "scopes": ["orders:read"], **more}
            answer = await host.client.post(f"{BASE}/api-keys", json=body, headers=person.bearer)
            return {"authorization": f"Bearer {body_of(answer, status=201)['apiKey']['key']}"}

        assert (await host.post(await key(allowedIps=["127.0.0.1"]))).status_code == 200
        refused = await host.post(await key(allowedIps=["203.0.113.7"]))
        assert refused.status_code in (401, 403)
        if not elsewhere:
            assert refused.json()["code"] == "IP_ADDRESS_NOT_ALLOWED"
            limited = await key(rateLimitEnabled=True, rateLimitMax=1, rateLimitTimeWindow=60_000)
            statuses = [(await host.post(limited)).status_code for _ in range(2)]
            assert statuses == [200, 429]


async def test_outage_is_503_and_never_a_verdict(migrated_sqlite_url: str) -> None:
    async with served("sdk", migrated_sqlite_url, elsewhere=True) as host:
        person = await sign_up(host.client)
        _, bearer = await create_key(host.client, person, scopes=["orders:read"])
        assert (await host.post(bearer)).status_code == 200
        await host.auth.stop()
        replace_by_folder(Path(migrated_sqlite_url.removeprefix("sqlite:///")))
        answer = await host.post(bearer)
        assert answer.status_code == 503
        assert answer.json()["code"] == "SERVICE_UNAVAILABLE"


async def test_without_the_resource_around_it_a_verifier_lets_nothing_through(auth: Auth) -> None:
    verifier = token_verifier(auth)
    assert await verifier.verify_token("czo_no") is None
    assert await verifier.verify_token("anything at all") is None


@pytest.mark.parametrize("resource", ["mcp", "/mcp", "ftp://a/b", "https://a/b#c", 'https://a/"'])
def test_resource_is_an_absolute_url(auth: Auth, resource: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        auth.protected_resource(resource)


def test_scopes_are_a_list_of_scopes(auth: Auth) -> None:
    with pytest.raises(TypeError, match="write scopes="):
        auth.protected_resource("https://a/b", "orders:read")
    with pytest.raises(ValueError, match="is not a scope"):
        auth.protected_resource("https://a/b", ["orders"])
