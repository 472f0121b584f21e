"""
Other spellings of a path, routes of a host below ours, and what anyone may ask for as often as they like.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from czo_auth import AuthMiddleware
from czo_auth.asgi import body
from czo_auth.rest.models import Body
from czo_auth.rest.passwords import __dict__ as _passwords
from czo_auth.server import Server
from tests.contract.acting import create_key, create_organization
from tests.contract.api import new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session
from tests.support.scope import http_scope
from tests.support.settings import HERE

ORDERS = "the orders"


def server_of(timed: Timed) -> httpx.AsyncClient:
    """Ask the standalone server of a deployment."""
    return new_client(HERE, transport=httpx.ASGITransport(Server(timed.runtime)))


# --- spellings -------------------------------------------------------------------------------------------------------
PLAIN = [
    "/session",
    "/api-keys",
    "/organizations",
    "/two-factor",
    "/whoami",
    "/admin/users",
    "/admin/audit",
    "/jwks",
]
SPELLINGS = [
    *(
        "/{path}",
        "/{path}/",
        "//{path}",
        "/./{path}",
        "/x/../{path}",
        "/{path}/.",
        "/{path}//",
        "/{path}/%2e",
    ),
    *(
        "/%2F{path}",
        "%2F{path}",
        "/{path}%2F",
        "/{encoded}",
        "/{path}%00",
        "/{path};x=1",
        "/{path}%20",
        "\\{path}",
    ),
    *("/{upper}", "/{path}%3F", "/%2e%2e/auth/{path}", "/{path}/..%2f{path}"),
]


def spelled(pattern: str, path: str) -> str:
    path = path.removeprefix("/")
    return "/api/auth" + pattern.format(
        path=path, encoded=f"%{ord(path[0]):02x}{path[1:]}", upper=path.upper()
    )


async def ask_raw(app: Any, method: str, raw_path: str, bearer: str) -> int:
    """Send a request whose path no client tidies up; gives the status of the answer."""
    sent: list[Any] = []
    headers = [(b"authorization", f"Bearer {bearer}".encode())]
    scope = http_scope(method, raw_path, headers, client="192.0.2.1", host="auth.test")

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("host", ["standalone", "mounted"])
async def test_other_spelling_of_a_path_is_an_address_that_does_not_exist(
    timed_sqlite: Timed, host: str
) -> None:
    ada = await timed_sqlite.people.sign_in(timed_sqlite.ada, "admin")
    app: Any = Server(timed_sqlite.runtime)
    if host == "mounted":
        app = Starlette(routes=[Mount("/api/auth", timed_sqlite.runtime.app)])
        app.router.redirect_slashes = False
    for path, pattern, method in product(PLAIN, SPELLINGS[1:], ("GET", "POST")):
        wrong = spelled(pattern, path)
        assert await ask_raw(app, method, wrong, ada.token) == 404, wrong
    for path in PLAIN:
        assert await ask_raw(app, "GET", spelled(SPELLINGS[0], path), ada.token) == 200, path


async def test_parameter_in_a_path_is_not_decoded_either(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    encoded = f"%{ord(key['id'][0]):02x}{key['id'][1:]}"
    by = {"authorization": f"Bearer {session.token}"}
    url = httpx.URL(HERE).copy_with(raw_path=f"/api/auth/api-keys/{encoded}".encode())
    assert (await timed.api.http.get(url, headers=by)).status_code == 404
    assert (await timed.api.http.delete(url, headers=by)).status_code == 404
    accepted(await timed.api.get(f"/api-keys/{key['id']}", bearer=session.token))


# --- a host's routes below ours --------------------------------------------------------------------------------------
async def orders(_: Request) -> Response:
    return PlainTextResponse(ORDERS)


HOSTS_OWN = [
    "/account/orders",
    "/api/auth/reports",
    "/account/security/export",
    "/api/auth/admin/reports",
    "/accounts",
]


def host_app(timed: Timed, *, pages: bool, required: bool) -> Starlette:
    routes: list[Any] = [Route(path, orders, methods=["GET", "POST"]) for path in HOSTS_OWN]
    routes.append(Mount("/api/auth", timed.runtime.app))
    if pages:
        routes.append(Mount("/account", timed.runtime.pages))
    host = Starlette(routes=routes)
    host.add_middleware(AuthMiddleware, auth=timed.runtime, required=required)
    return host


@pytest.mark.parametrize("pages", [False, True], ids=["no pages", "pages"])
async def test_routes_of_the_host_below_ours_are_guarded(deploy: Deploy, pages: bool) -> None:
    timed = await deploy(pages_enabled=True)
    _, session = await timed.people.newcomer()
    _, only_enrolling = await timed.admin()
    host = host_app(timed, pages=pages, required=True)
    async with new_client(HERE, transport=httpx.ASGITransport(host)) as http:
        for path in HOSTS_OWN:
            for method in ("GET", "POST"):
                answer = await http.request(method, path)
                assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED"), path
            known = await http.get(path, headers={"authorization": f"Bearer {session.token}"})
            assert (known.status_code, known.text) == (200, ORDERS)
            half = await http.get(path, headers={"authorization": f"Bearer {only_enrolling.token}"})
            assert half.json()["code"] == "TWO_FACTOR_SETUP_REQUIRED"
        assert (await http.get("/api/auth/jwks")).status_code == 200
        sign_in = {"email": "nobody@example.com", "password": "x" * 12}
        assert (await http.post("/api/auth/sign-in/email", json=sign_in)).json()[
            "code"
        ] == "INVALID_EMAIL_OR_PASSWORD"
        if pages:
            assert (await http.get("/account/sign-in")).status_code == 200
        else:
            assert (await http.get("/account/sign-in")).status_code == 401


async def test_public_host_routes_stay_public_where_nobody_is_required(timed: Timed) -> None:
    host = host_app(timed, pages=False, required=False)
    async with new_client(HERE, transport=httpx.ASGITransport(host)) as http:
        assert (await http.get("/account/orders")).text == ORDERS
        wrong = {"authorization": "Bearer czs_" + "A" * 43}
        assert (await http.get("/account/orders", headers=wrong)).status_code == 401


# --- refused administration ------------------------------------------------------------------------------------------
async def test_refused_administration_is_recorded_once_an_hour(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    neighbor, other = await timed.people.newcomer()
    for _ in range(30):
        for path in ("/admin/users", "/admin/audit", "/admin/api-keys"):
            refused(await timed.api.get(path, bearer=session.token), 403, "FORBIDDEN")
    refused(
        await timed.api.post(f"/admin/users/{account.id}/unban", {}, bearer=session.token), 403, "FORBIDDEN"
    )
    key = (await create_key(timed.api, session))["key"]
    for _ in range(5):
        refused(await timed.api.get("/admin/users", bearer=key), 403, "SESSION_REQUIRED")
    refused(await timed.api.get("/admin/users", bearer=other.token), 403, "FORBIDDEN")
    count = "SELECT count(*) FROM {}audit WHERE action = 'auth.admin.access' AND user_id = $1"
    url = timed.runtime.settings.storage_url
    assert await sql(url, count, account.id) == [(2,)], "once for each code"
    assert await sql(url, count, neighbor.id) == [(1,)]
    timed.time.advance(minutes=61)
    refused(await timed.api.get("/admin/users", bearer=session.token), 403, "FORBIDDEN")
    assert await sql(url, count, account.id) == [(3,)]


async def test_processes_record_a_refusal_together_once(deploy: Deploy) -> None:
    first = await deploy()
    second = await deploy(first.runtime.settings.storage_url)
    account, session = await first.people.newcomer()
    for timed in (first, second, first, second):
        refused(await timed.api.get("/admin/users", bearer=session.token), 403, "FORBIDDEN")
    count = "SELECT count(*) FROM {}audit WHERE action = 'auth.admin.access' AND user_id = $1"
    assert await sql(first.runtime.settings.storage_url, count, account.id) == [(1,)]


# --- invitations -----------------------------------------------------------------------------------------------------
async def confirm(timed: Timed, account: Account) -> None:
    put = "UPDATE {}users SET email_verified = true WHERE id = $1"
    await sql(timed.runtime.settings.storage_url, put, account.id)


async def invite_strangers(timed: Timed, by: Session, organization: str, numbers: range) -> list[int]:
    path = f"/organizations/{organization}/invitations"
    answers = []
    for number in numbers:
        body_ = {"email": f"stranger-{number}@example.com", "role": "viewer"}
        answers.append((await timed.api.post(path, body_, bearer=by.token)).status_code)
    return answers


async def test_unconfirmed_account_sends_ten_invitations_a_day(timed: Timed) -> None:
    """However many organizations it makes and deletes, and whether it sends the same one again."""
    account, session = await timed.people.newcomer()
    first = await create_organization(timed.api, session, "Buy now")
    assert await invite_strangers(timed, session, first, range(4)) == [201] * 4
    accepted(await timed.api.delete(f"/organizations/{first}", bearer=session.token), 204)
    second = await create_organization(timed.api, session, "Buy more")
    assert await invite_strangers(timed, session, second, range(5)) == [201] * 5
    path = f"/organizations/{second}/invitations"
    again = {"email": "stranger-0@example.com", "role": "viewer", "resend": True}
    accepted(await timed.api.post(path, again, bearer=session.token), 201)
    answer = refused(await timed.api.post(path, again, bearer=session.token), 429, "TOO_MANY_REQUESTS")
    assert 0 < answer["retryAfter"] <= 86_400
    client = {"email": "one-more@example.com", "role": "viewer", "organizationId": second}
    refused(
        await timed.api.post("/organization/invite-member", client, bearer=session.token),
        429,
        "TOO_MANY_REQUESTS",
    )
    await confirm(timed, account)
    assert await invite_strangers(timed, session, second, range(10, 20)) == [201] * 10


async def test_confirmed_account_and_organization_have_a_limit_too(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("czo_auth.core.flows.organizations.invitations.MAX_INVITATIONS_A_DAY", 3)
    owner = await timed.people.newcomer()
    await confirm(timed, owner[0])
    organization = await create_organization(timed.api, owner[1])
    colleagues = [await timed.people.newcomer() for _ in range(2)]
    for account, session in colleagues:
        await confirm(timed, account)
        body_ = {"email": account.email, "role": "admin"}
        path = f"/organizations/{organization}/invitations"
        sent = accepted(await timed.api.post(path, body_, bearer=owner[1].token), 201)
        accepted(await timed.api.post("/invitations/accept", {"token": sent["token"]}, bearer=session.token))
    assert await invite_strangers(timed, owner[1], organization, range(2)) == [201, 429]
    assert await invite_strangers(timed, colleagues[0][1], organization, range(10, 14)) == [
        201,
        201,
        201,
        429,
    ]
    timed.time.advance(days=1)
    fresh = await timed.people.sign_in(owner[0])
    assert await invite_strangers(timed, fresh, organization, range(20, 22)) == [201, 201]


# --- health ----------------------------------------------------------------------------------------------------------
async def test_readiness_is_asked_once_for_all(timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    real = timed_sqlite.runtime.readiness

    async def counted() -> dict[str, bool]:
        nonlocal asked
        asked += 1
        return await real()

    monkeypatch.setattr(timed_sqlite.runtime, "readiness", counted)
    async with server_of(timed_sqlite) as http:
        answers = await asyncio.gather(*[http.get("/readyz") for _ in range(50)])
        assert {answer.status_code for answer in answers} == {200}
        assert asked == 1


async def test_one_who_hangs_up_leaves_the_answer_to_the_others(timed_sqlite: Timed) -> None:
    async with server_of(timed_sqlite) as http:
        leaving = asyncio.create_task(http.get("/readyz"))
        staying = asyncio.create_task(http.get("/readyz"))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).status_code == 200


# --- bodies ----------------------------------------------------------------------------------------------------------
async def drip(seconds: float) -> AsyncIterator[bytes]:
    yield b'{"email": "'
    await asyncio.sleep(seconds)
    yield b'x"}'


@pytest.mark.parametrize("path", ["/api/auth/sign-in/email", "/graphql", "/account/sign-in"])
async def test_slow_body_is_given_up(deploy: Deploy, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.05)
    timed = await deploy(pages_enabled=True)
    _, session = await timed.people.newcomer()
    kind = "application/x-www-form-urlencoded" if "account" in path else "application/json"
    headers = {"content-type": kind, "origin": HERE, "authorization": f"Bearer {session.token}"}
    async with server_of(timed) as http:
        answer = await http.post(path, content=drip(30), headers=headers)
    assert answer.status_code == 408


@pytest.mark.parametrize("path", ["/api/auth/sign-up/email", "/graphql", "/account/sign-in"])
async def test_client_that_hangs_up_in_a_body_is_no_error(
    deploy: Deploy, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    timed = await deploy(pages_enabled=True)
    _, session = await timed.people.newcomer()
    messages = [
        {"type": "http.request", "body": b'{"email": "', "more_body": True},
        {"type": "http.disconnect"},
    ]
    kind = b"application/x-www-form-urlencoded" if "account" in path else b"application/json"
    headers = [
        (b"content-type", kind),
        (b"origin", HERE.encode()),
        (b"authorization", f"Bearer {session.token}".encode()),
    ]
    scope = http_scope("POST", path, headers, client="192.0.2.1", host="auth.test")

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        return None

    await Server(timed.runtime)(scope, receive, send)
    assert [
        record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL") or record.exc_info
    ] == []


# --- what bodies and answers show ------------------------------------------------------------------------------------
def _bodies(kind: type[Body]) -> list[type[Body]]:
    return [each for child in kind.__subclasses__() for each in [child, *_bodies(child)]]


def test_repr_of_a_body_hides_what_it_holds() -> None:
    assert _passwords
    secret = "hunter2-hunter2"
    kinds = _bodies(Body)
    assert len(kinds) > 20
    for kind in kinds:
        body = kind.model_construct(**dict.fromkeys(kind.model_fields, secret))
        assert secret not in f"{body!r} {body!s} {[body]}"


@pytest.mark.parametrize(
    "path",
    [
        "/api/auth/jwks",
        "/api/auth/session",
        "/api/auth/nothing",
        "/graphql",
        "/readyz",
        "/healthz",
        "/nothing",
    ],
)
async def test_json_is_never_sniffed(timed_sqlite: Timed, path: str) -> None:
    async with server_of(timed_sqlite) as http:
        for method in ("GET", "POST"):
            answer = await http.request(method, path, content=b"<html>")
            assert answer.headers["x-content-type-options"] == "nosniff"
            json.loads(answer.content)
