"""Every example host, started as its README says and used over HTTP. All are the same shop."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from czo_auth import Settings
from examples.serving import serve
from tests.examples.hosts import PATIENCE_SECONDS, ROOT, HostProcess
from tests.integrations.acting import (
    BASE,
    NoCookies,
    Person,
    body_of,
    create_key,
    enroll,
    refused,
    revoke_key,
    settle_administrator,
    sign_in,
    sign_up,
)

HOSTS = {
    "fastapi": ["-m", "examples.fastapi_host"],
    "fastapi on uvicorn": [
        *("-m", "uvicorn", "examples.fastapi_host.app:app"),
        *("--port", "{port}", "--log-level", "warning"),
    ],
    "starlette": ["-m", "examples.starlette_host"],
    "litestar": ["-m", "examples.litestar_host"],
    "django": ["-m", "examples.django_host"],
    "flask": ["-m", "examples.flask_host"],
}
WITH_WEBSOCKETS = ("fastapi", "fastapi on uvicorn", "starlette")
FOLDERS = sorted(path.name for path in (ROOT / "examples").glob("*_host"))


def all_of(names: Iterable[str]) -> list[Any]:
    """List hosts, of which one stands for all: what differs is tested in tests/integrations, in this process."""
    return [name if name == "fastapi" else pytest.param(name, marks=pytest.mark.deep) for name in names]


@pytest.fixture(scope="module", params=all_of(HOSTS))
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    running = HostProcess(HOSTS[request.param], tmp_path_factory.mktemp("host"))
    running.start()
    yield running
    status = running.stop()
    output = running.output()
    assert status == 0, output
    assert "Traceback" not in output
    # A mail names a key by the characters that lists show, never by more.
    assert not re.search(r"czo_[\w-]{5}", output)
    assert "czs_" not in output.replace("czs_…", "")


@pytest.fixture
async def client(host: HostProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=host.url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
        client.cookies.jar.set_policy(NoCookies())
        yield client


def cookie_of(person: Person) -> dict[str, str]:
    return {"cookie": f"better-auth.session_token={person.session_token}"}


def test_every_example_is_tested_and_says_how_it_runs() -> None:
    assert {command[1] for command in HOSTS.values() if command[0] == "-m"} >= {
        f"examples.{folder}" for folder in FOLDERS
    }
    for folder in FOLDERS:
        second_paragraph = (ROOT / "examples" / folder / "README.md").read_text().split("\n\n")[1]
        assert second_paragraph.endswith(f"python -m examples.{folder}"), folder


async def test_public_route_is_open(client: httpx.AsyncClient) -> None:
    assert body_of(await client.get("/"), status=200) == {"shop": "open", "you": None}
    assert body_of(await client.post("/newsletter"), status=200) == {"subscribed": True}


async def test_anonymous_is_refused_at_a_protected_route(client: httpx.AsyncClient) -> None:
    for path in ("/orders", "/admin/customers"):
        answer = await client.get(path)
        refused(answer, status=401, code="UNAUTHORIZED")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_signed_in_person_is_known_by_cookie_and_by_both_tokens(client: httpx.AsyncClient) -> None:
    email = (await sign_up(client)).email
    person = await sign_in(client, email)
    access_token = {"authorization": f"bearer {person.access_token}"}
    seen = set()
    for headers in (cookie_of(person), person.bearer, access_token):
        answer = body_of(await client.get("/orders", headers=headers), status=200)
        assert answer["by"] == "session"
        assert len(answer["orders"]) == 2
        visitor = body_of(await client.get("/", headers=headers), status=200)["you"]
        seen |= {answer["for"], visitor}
    whoami = body_of(await client.get(f"{BASE}/whoami", headers=person.bearer), status=200)
    assert seen == {whoami["userId"]}


async def test_api_key_reaches_what_its_scopes_say(client: httpx.AsyncClient) -> None:
    person = await sign_up(client)
    _, reads = await create_key(client, person, scopes=["orders:read"])
    _, writes = await create_key(client, person, scopes=["orders:write"])
    assert body_of(await client.get("/orders", headers=reads), status=200)["by"] == "api_key"
    refused(await client.get("/orders", headers=writes), status=403, code="INSUFFICIENT_SCOPE")
    body_of(await client.get("/", headers=writes), status=200)


async def test_revoked_key_is_refused_at_the_next_request(client: httpx.AsyncClient) -> None:
    person = await sign_up(client)
    key_id, header = await create_key(client, person, scopes=["orders:read"])
    body_of(await client.get("/orders", headers=header), status=200)
    await revoke_key(client, person, key_id)
    for path in ("/orders", "/"):
        answer = await client.get(path, headers=header)
        refused(answer, status=401, code="INVALID_API_KEY")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_scope_outside_the_hosts_rule_cannot_be_granted(client: httpx.AsyncClient) -> None:
    person = await sign_up(client)
    answer = await client.post(
        f"{BASE}/api-keys", json={"name": "machine", "scopes": ["stock:write"]}, headers=person.bearer
    )
    refused(answer, status=403, code="INSUFFICIENT_SCOPE")


async def test_customer_is_no_administrator(client: httpx.AsyncClient) -> None:
    person = await enroll(client, await sign_up(client))
    answer = await client.get("/admin/customers", headers=person.bearer)
    refused(answer, status=403, code="ACTOR_TYPE_MISMATCH")


async def test_administrator_does_nothing_before_the_second_factor_and_then_enters(
    host: HostProcess, client: httpx.AsyncClient
) -> None:
    operator = host.operator()
    await operator.open()
    try:
        email = await settle_administrator(operator)
    finally:
        await operator.stop()
    restricted = await sign_in(client, email, actor="admin")
    own = {"origin": host.url}
    for headers in (restricted.bearer, {**cookie_of(restricted), **own}):
        for method, path in (
            *(("GET", "/orders"), ("GET", "/admin/customers"), ("GET", "/"), ("POST", "/newsletter")),
            ("GET", f"{BASE}/sessions"),
        ):
            answer = await client.request(method, path, headers=headers)
            refused(answer, status=403, code="TWO_FACTOR_SETUP_REQUIRED")
    body_of(await client.get("/"), status=200)
    administrator = await enroll(client, restricted)
    seen = body_of(await client.get("/admin/customers", headers=administrator.bearer), status=200)
    assert seen["customers"] == [["ada@shop.example", 120]]
    refused(await client.get("/admin/customers", headers=restricted.bearer), status=401, code="INVALID_TOKEN")


async def test_stale_cookie_is_no_obstacle_on_a_public_page(client: httpx.AsyncClient) -> None:
    person = await sign_up(client)
    body_of(await client.post(f"{BASE}/sign-out", json={}, headers=person.bearer), status=200)
    stale = cookie_of(person)
    assert body_of(await client.get("/", headers=stale), status=200)["you"] is None
    body_of(await client.post("/newsletter", headers=stale), status=200)
    refused(await client.get("/orders", headers=stale), status=401, code="UNAUTHORIZED")


async def test_cookie_changes_nothing_from_another_site(host: HostProcess, client: httpx.AsyncClient) -> None:
    cookie = cookie_of(await sign_up(client))
    refused(await client.post("/newsletter", headers=cookie), status=403, code="MISSING_OR_NULL_ORIGIN")
    answer = await client.post("/newsletter", headers={**cookie, "origin": "https://evil.example"})
    refused(answer, status=403, code="INVALID_ORIGIN")
    body_of(await client.post("/newsletter", headers={**cookie, "origin": host.url}), status=200)


async def test_odd_authorization_headers_are_refused(client: httpx.AsyncClient) -> None:
    person = await sign_up(client)
    twice = [("authorization", person.bearer["authorization"])] * 2
    refused(await client.get("/", headers=twice), status=400, code="INVALID_REQUEST")
    refused(
        await client.get("/", headers={"authorization": "Bearer czs_x"}), status=401, code="INVALID_TOKEN"
    )
    # What is none of ours is the host's own affair.
    for foreign in ("Bearer", "Bearer x"):
        assert body_of(await client.get("/", headers={"authorization": foreign}), status=200)["you"] is None
    body_of(await client.get("/", headers={"authorization": "Basic eDp5"}), status=200)


async def test_mount_answers_for_itself(client: httpx.AsyncClient) -> None:
    refused(await client.get(f"{BASE}/session"), status=401, code="UNAUTHORIZED")
    refused(await client.get(f"{BASE}/nothing"), status=404, code="NOT_FOUND")
    refused(await client.get(f"{BASE}/"), status=404, code="NOT_FOUND")
    refused(await client.put(f"{BASE}/session"), status=405, code="METHOD_NOT_ALLOWED")
    answer = await client.post(f"{BASE}/sign-up/email", json={"name": "x", "email": "x", "password": "y"})
    refused(answer, status=400, code="VALIDATION_ERROR")
    assert body_of(await client.get(f"{BASE}/get-session"), status=200) is None
    paths = body_of(await client.get(f"{BASE}/openapi.json"), status=200)["paths"]
    assert "/two-factor/enable" in paths


async def test_subscriber_receives_the_event(client: httpx.AsyncClient) -> None:
    person = await sign_up(client)
    await create_key(client, person, scopes=[])
    expected = {"auth.user.registered", "auth.session.created", "auth.apikey.created"}
    heard: set[str] = set()
    for _ in range(100):
        heard = set(body_of(await client.get("/activity"), status=200))
        if expected <= heard:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"only {heard}")


async def test_hosts_own_users_table_is_untouched(host: HostProcess, client: httpx.AsyncClient) -> None:
    await sign_up(client)
    found: list[Any] = []
    for file in sorted(host.data.glob("*.db")):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'users'").fetchone():
                found += connection.execute("SELECT * FROM users").fetchall()
    assert found == [(1, "ada@shop.example", 120)]


async def test_data_is_private(host: HostProcess) -> None:
    kept = [path for path in host.data.iterdir() if path.name.startswith(("czo-auth.db", "encryption"))]
    assert len(kept) >= 2
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


@pytest.mark.parametrize("host", all_of(WITH_WEBSOCKETS), indirect=True)
async def test_websocket_is_guarded_like_a_route(host: HostProcess, client: httpx.AsyncClient) -> None:
    address = host.url.replace("http", "ws") + "/orders/live"
    person = await sign_up(client)
    _, writes = await create_key(client, person, scopes=["orders:write"])
    async with connect(address, additional_headers=person.bearer, proxy=None) as socket:
        assert json.loads(await socket.recv())["orders"] == 2
    async with connect(address, additional_headers=cookie_of(person), origin=host.url, proxy=None) as socket:  # type: ignore[arg-type]
        assert json.loads(await socket.recv())["orders"] == 2
    for headers, status, code in (
        ({}, 401, "UNAUTHORIZED"),
        ({"authorization": "Bearer czo_x"}, 401, "INVALID_API_KEY"),
        (writes, 403, "INSUFFICIENT_SCOPE"),
        # A browser sends the cookie from any site, and no preflight comes before a WebSocket.
        ({**cookie_of(person), "origin": "https://evil.example"}, 403, "INVALID_ORIGIN"),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(address, additional_headers=headers, proxy=None)
        response = refusal.value.response
        assert (response.status_code, json.loads(response.body)["code"]) == (status, code)


@pytest.mark.deep
def test_an_example_says_when_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(host="127.0.0.1", port=port)
        with pytest.raises(SystemExit, match=f"port {port}"):
            serve("examples.starlette_host.app:app", settings)
