"""Every route with everything that tends to break parsers (docs/reference/rest.md; S26, S29)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any

import pytest

from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import Session
from tests.contract.routes import NOWHERE, OAUTH, Field, Route, every_route

pytestmark = pytest.mark.deep

MARK = "tHe-mArKeD-sEcReT"
EXPECTED = {200, 201, 204, 400, 401, 403, 404, 409, 422, 429}

STRINGS = [
    "",
    " \t\n",
    MARK,
    MARK * 2000,
    "１２３４５６",
    "٣٣٣٣٣٣\n",
    "\u202e\ufeff\u200b",
    "\U0001f4a9" * 70,
    "'; DROP TABLE users; --",
    "%00%ff{0}%s${x}",
]
OTHERS: list[Any] = [None, True, 0, -1, 1.5, 10**400, [], {}, [None], {"$ne": ""}]
RAW = [
    rb'"\u0000"',
    rb'"a\u0000b"',
    rb'"\ud800"',
    rb'"\udc00\ud800"',
    b"NaN",
    b"-Infinity",
    b"1e999",
    b'"\xff"',
]

EXAMPLES: dict[str, Any] = {
    "email": "trapped@example.com",
    "name": "Trap",
    "organizationName": "Traps",
    "organizationId": NOWHERE,
    "role": "member",
    "slug": "traps",
    "scopes": [],
    "add": [],
    "remove": [],
    "metadata": {},
    "data": {},
    "permissions": {},
    "expiresIn": 86400 * 2,
    "expiresAt": None,
    "overlapSeconds": 0,
    "rememberMe": True,
    "trustDevice": False,
    "revokeOtherSessions": True,
    "enabled": True,
    "replace": False,
}
"""A plausible value for each field. What opens something is wrong by design, so that no trap ends the session."""

SECRET_FIELDS = {
    "password",
    "currentPassword",
    "newPassword",
    "code",
    "token",
    "challenge",
    "refreshToken",
    "key",
}


def json_type(value: object) -> str:
    names = {type(None): "null", bool: "boolean", str: "string", int: "integer", float: "number"}
    return names.get(type(value), "array" if isinstance(value, list) else "object")


def example(field: Field) -> Any:
    if field.name in EXAMPLES:
        return EXAMPLES[field.name]
    return f"{MARK}-{field.name}" if "string" in field.types else None


def body_of(route: Route) -> dict[str, Any]:
    """Give what the route asks for; a wrong password goes along where without one the user would be gone."""
    careful = {"password": f"{MARK}-password"} if route.path == "/delete-user" else {}
    return careful | {field.name: example(field) for field in route.fields if field.required}


async def all_of(calls: Iterable[Awaitable[None]]) -> None:
    """Await *calls*, sixteen at a time, and show all that went wrong."""
    turn = asyncio.Semaphore(16)

    async def one(call: Awaitable[None]) -> None:
        async with turn:
            await call

    ended = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    faults = [str(fault) or repr(fault) for fault in ended if fault is not None]
    assert not faults, f"{len(faults)} of {len(ended)}:\n" + "\n".join(fault[:400] for fault in faults[:30])


def checked(route: Route, what: str, answer: Answer) -> None:
    """Check what holds for every answer to every nonsense."""
    said = f"{route.name} {what}: {answer.status_code} {answer.text[:300]}"
    assert answer.status_code in EXPECTED, said
    if answer.status_code >= 400:
        refused(answer, answer.status_code, answer.json()["code"])
        assert MARK not in answer.text, said
    assert "Traceback" not in answer.text, said


async def trapper(live: Live) -> Session:
    """Sign in somebody who may do everything, and whom no other test needs."""
    account, session = await live.admin()
    session = await live.people.enroll(account, session)
    # A session that sends five wrong codes ends, and the traps are wrong codes by the hundred.
    await sql(
        live.served.database_url,
        "UPDATE {}sessions SET wrong_codes = -1000000 WHERE user_id = $1",
        account.id,
    )
    return session


async def test_every_field_of_every_route_survives_every_trap(live: Live) -> None:
    """Never 5xx, never an echo of a secret, and 400 for what has the wrong type."""
    session = await trapper(live)

    async def spring(route: Route, field: Field, value: object) -> None:
        body = body_of(route) | {field.name: value}
        answer = await live.api.call(route.method, route.address(), body, bearer=session.token)
        what = f"{field.name}={str(value)[:40]!r}"
        checked(route, what, answer)
        if field.name in SECRET_FIELDS:
            assert MARK not in answer.text, f"{route.name} {what}"
        if json_type(value) not in field.types:
            assert answer.status_code == 400, f"{route.name} {what}: {answer.status_code} {answer.text}"

    def traps() -> Iterator[Awaitable[None]]:
        for route in routes:
            for field in route.fields:
                if (route.path, field.name) == ("/delete-user", "password"):
                    continue  # without one, the user would be gone
                for value in [*STRINGS, *OTHERS]:
                    yield spring(route, field, value)

    routes = await every_route(live.api)
    await all_of(traps())
    assert await live.people.is_alive(session), "or the rest was asked by nobody"


async def test_every_route_refuses_json_that_others_read_differently(live: Live) -> None:
    """S26: in every place of every body, known field or not."""
    session = await trapper(live)

    async def spring(route: Route, raw: bytes) -> None:
        answer = await live.api.call(route.method, route.address(), raw=raw, bearer=session.token)
        checked(route, repr(raw[:60]), answer)
        refused(answer, 400, "BAD_REQUEST")

    def traps() -> Iterator[Awaitable[None]]:
        for route in routes:
            if route.method == "GET":
                continue
            rest = b"".join(b", " + json.dumps(one.name).encode() + b": 1" for one in route.fields[1:])
            first = route.fields[0].name.encode() if route.fields else b"x"
            for value in RAW:
                yield spring(route, b'{"' + first + b'": ' + value + rest + b"}")
            yield spring(route, b'{"' + first + b'": "x", "' + first + b'": "x"' + rest + b"}")
            yield spring(route, b'{"' + first + b'": ' + b"[" * 40 + b"]" * 40 + rest + b"}")
            yield spring(route, b'{"' + first + b'": {"deep": [{"name": "\\u0000"}]}' + rest + b"}")
            yield spring(route, b'{"\\u0000": 1' + rest + b"}")

    routes = await every_route(live.api)
    await all_of(traps())
    assert await live.people.is_alive(session)


async def test_every_route_refuses_bodies_of_the_wrong_kind(live_sqlite: Live) -> None:
    session = await trapper(live_sqlite)
    api = live_sqlite.api

    async def spring(route: Route) -> None:
        where, who = route.address(), {"bearer": session.token}
        for body in ([], "text", 1, None, True):
            refused(await api.call(route.method, where, body, **who), 400, "VALIDATION_ERROR")
        forms = () if route.path in OAUTH else ("application/x-www-form-urlencoded",)
        for kind in ("text/plain", *forms, "multipart/form-data; boundary=x"):
            answer = await api.call(route.method, where, {}, **who, headers={"content-type": kind})
            refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
        answer = await api.call(route.method, where, {}, **who, headers={"content-encoding": "gzip"})
        refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
        answer = await api.call(route.method, where, raw=b" " * (64 * 1024 + 1), **who)
        refused(answer, 413, "PAYLOAD_TOO_LARGE")

    routes = [route for route in await every_route(api) if route.method != "GET"]
    await all_of(spring(route) for route in routes)
    assert await live_sqlite.people.is_alive(session)


async def test_every_route_refuses_fields_that_only_the_server_sets(live_sqlite: Live) -> None:
    """Refused everywhere, also where unknown fields are ignored."""
    session = await trapper(live_sqlite)
    mine = accepted(await live_sqlite.api.get("/session", bearer=session.token))["user"]["id"]
    names = ("userId", "ownerId", "referenceId", "actorTypes", "emailVerified", "aal", "createdAt", "keyHash")

    async def spring(route: Route, name: str) -> None:
        if name in {field.name for field in route.fields}:
            return
        body = body_of(route) | {name: mine}
        answer = await live_sqlite.api.call(route.method, route.address(), body, bearer=session.token)
        if route.path.startswith("/api-key/") and name in ("userId", "ownerId", "referenceId"):
            refused(answer, 401, "UNAUTHORIZED_SESSION")
        else:
            assert answer.status_code == 400, f"{route.name} {name}: {answer.status_code} {answer.text}"
            assert answer.json()["code"] in ("VALIDATION_ERROR", "SERVER_ONLY_PROPERTY")

    routes = [route for route in await every_route(live_sqlite.api) if route.method != "GET"]
    await all_of(spring(route, name) for route in routes if route.path not in OAUTH for name in names)
    assert await live_sqlite.people.is_alive(session)


async def test_native_routes_refuse_unknown_fields_and_better_auths_ignore_them(live_sqlite: Live) -> None:
    """Contract 1."""
    session = await trapper(live_sqlite)
    clients = {
        *("/sign-up/email", "/sign-in/email", "/sign-out", "/change-password", "/get-session"),
        *("/list-sessions", "/revoke-session", "/revoke-sessions", "/revoke-other-sessions", "/update-user"),
        *("/two-factor/enable", "/two-factor/verify-totp", "/two-factor/verify-backup-code"),
        *("/two-factor/generate-backup-codes", "/two-factor/get-totp-uri", "/two-factor/disable"),
        *("/change-email", "/delete-user", "/request-password-reset", "/send-verification-email"),
        *OAUTH,
    }

    async def spring(route: Route) -> None:
        body = body_of(route) | {"somethingElse": {"x": 1}}
        answer = await live_sqlite.api.call(route.method, route.address(), body, bearer=session.token)
        reported = "somethingElse" in answer.text
        is_clients = route.path in clients or route.path.startswith(
            ("/api-key/", "/organization/", "/passkey/")
        )
        assert reported is not is_clients, f"{route.name}: {answer.status_code} {answer.text}"

    ending = {"/sign-out", "/revoke-sessions", "/sessions", "/revoke-other-sessions"}
    routes = [route for route in await every_route(live_sqlite.api) if route.method != "GET"]
    await all_of(spring(route) for route in routes if route.path not in ending)
    assert await live_sqlite.people.is_alive(session)


TEXTS_IN_ADDRESSES = [
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "%F0%9F%92%A9",
    "%20",
    "%0d%0aset-cookie:%20x=y",
    "%2e%2e",
    "..%2f..%2f",
    "%D9%A3%D9%A3",
    "'%22;--",
    "0" * 3000,
    "null",
    NOWHERE.upper(),
    NOWHERE + "%0a",
]


async def test_every_path_survives_every_trap(live: Live) -> None:
    """An id that is none is like one that does not exist: 404."""
    session = await trapper(live)

    async def spring(route: Route, name: str, text: str) -> None:
        body = None if route.method == "GET" else body_of(route)
        address = route.address(**{name: text})
        if body is None:
            answer = await live.api.get(address, bearer=session.token)
        else:
            answer = await live.api.call(route.method, address, body, bearer=session.token)
        if answer.status_code == 405:
            return  # a slash in it led to another route
        checked(route, address[:80], answer)
        assert answer.status_code in (400, 401, 404, 422), f"{route.name} {text}: {answer.text}"

    routes = await every_route(live.api)
    await all_of(
        spring(route, name, text)
        for route in routes
        for name in route.parameters
        for text in TEXTS_IN_ADDRESSES
    )
    assert await live.people.is_alive(session)


async def test_every_query_survives_every_trap(live: Live) -> None:
    session = await trapper(live)

    async def spring(route: Route, query: str) -> None:
        answer = await live.api.call(route.method, f"{route.address()}?{query}", bearer=session.token)
        checked(route, query[:80], answer)

    traps = [*TEXTS_IN_ADDRESSES, "", "-1", "1.5", "1e9", "9" * 400, "true", "[]", "%EF%BC%91", "0x10", "1_0"]
    routes = [route for route in await every_route(live.api) if route.method == "GET"]
    await all_of(
        spring(route, query)
        for route in routes
        for name in (*route.query, "unknown")
        for query in (*(f"{name}={text}" for text in traps), f"{name}=1&{name}=2", f"{name}", f"%00{name}=1")
    )
    assert await live.people.is_alive(session)


async def test_names_that_would_forge_a_line_of_the_log_do_not(live: Live) -> None:
    """S29: control characters in everything user-supplied; what is shown back is data, not markup or commands."""
    nasty = "\x1b[31mred\r\n2026-01-01 ERROR forged \u2028\u202e\x7f"
    person = {"email": "nasty@example.com", "name": nasty, "password": "a long enough phrase"}
    refused(await live.api.post("/sign-up/email", person), 400, "VALIDATION_ERROR")
    _, session = await live.people.newcomer()
    refused(await live.api.post("/api-keys", {"name": nasty}, bearer=session.token), 400, "VALIDATION_ERROR")
    headers = {"x-request-id": "forged request id; with blanks", "x-forwarded-for": "6.6.6.6"}
    await live.api.get("/session", bearer=session.token, headers=headers)
    lines = live.served.server.output().splitlines()
    assert not any(line.startswith("2026-01-01 ERROR forged") for line in lines)
    assert "\x1b" not in live.served.server.output()


@pytest.mark.parametrize("size", [64 * 1024 + 1, 300_000, 1_000_000])
async def test_refused_body_does_not_break_the_connection_off(live: Live, size: int) -> None:
    for _ in range(20):
        answer = await live.api.call("POST", "/customer/sign-in/email", raw=b" " * size)
        refused(answer, 413, "PAYLOAD_TOO_LARGE")
        refused(await live.api.call("POST", "/api-keys", raw=b" " * size), 401, "UNAUTHORIZED")
