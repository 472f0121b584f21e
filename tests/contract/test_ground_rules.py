"""What holds for every route (docs/reference/rest.md)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.contract.api import SESSION_COOKIE
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.routes import every_route

SIGN_IN = {"email": "nobody@example.com", "password": "not the password"}
KIB = 1024


async def test_document_lists_every_route_of_the_contract(live_sqlite: Live) -> None:
    """Contract sections 3, 4, 5 and 8, and better-auth-wire, Core and Two-factor."""
    named = {
        *(
            "POST /{actor}/sign-up",
            "POST /{actor}/sign-in/email",
            "POST /sign-up/email",
            "POST /sign-in/email",
        ),
        *("POST /switch-actor", "GET /session", "GET /whoami", "GET /sessions", "DELETE /sessions"),
        *("POST /token/refresh", "POST /sign-out", "POST /change-password", "POST /request-password-reset"),
        *("POST /reset-password", "POST /send-verification-email", "GET /verify-email", "GET /jwks"),
        *(
            "GET /two-factor",
            "POST /two-factor/enable",
            "POST /two-factor/verify",
            "POST /two-factor/verify-totp",
        ),
        *("POST /two-factor/verify-backup-code", "POST /two-factor/generate-backup-codes"),
        *("POST /two-factor/disable", "POST /two-factor/get-totp-uri"),
        *("POST /api-keys", "GET /api-keys", "POST /api-keys/verify"),
        *("GET /get-session", "GET /list-sessions", "POST /revoke-session", "POST /revoke-sessions"),
        *("POST /revoke-other-sessions", "POST /update-user", "GET /admin/users", "GET /admin/audit"),
    }
    listed = {route.name for route in await every_route(live_sqlite.api)}
    assert named <= listed
    one_of_many = {name.split("/{")[0] for name in listed if "/{" in name}
    assert {"DELETE /sessions", "GET /api-keys", "PATCH /api-keys", "DELETE /api-keys"} <= one_of_many


async def test_docs_are_open_in_development_and_closed_in_production(
    live_sqlite: Live, deploy_sqlite: Deploy
) -> None:
    api = live_sqlite.api
    docs = await api.get("/docs")
    assert docs.status_code == 200
    assert docs.headers["content-type"].startswith("text/html")
    assert docs.headers["cache-control"] == "no-store"
    closed = await deploy_sqlite(environment="production")
    for path in ("/docs", "/openapi.json", "/redoc"):
        refused(await closed.api.get(path), 404, "NOT_FOUND")
    opened = await deploy_sqlite(environment="production", api_docs=True)
    assert (await opened.api.get("/openapi.json")).status_code == 200


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/session/x", "/admin", "/two-factor/nothing", "/.env"]
)
async def test_unknown_address_is_404_for_everybody(live_sqlite: Live, path: str) -> None:
    _, session = await live_sqlite.people.newcomer()
    for bearer in (None, session.token):
        refused(await live_sqlite.api.get(path, bearer=bearer), 404, "NOT_FOUND")
        refused(await live_sqlite.api.post(path, {}, bearer=bearer), 404, "NOT_FOUND")


async def test_wrong_method_is_405_and_names_the_right_ones(live_sqlite: Live) -> None:
    routes = await every_route(live_sqlite.api)
    for address in {route.address() for route in routes}:
        right = {route.method for route in routes if route.leads_to(address)}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - right:
            answer = await live_sqlite.api.call(method, address)
            refused(answer, 405, "METHOD_NOT_ALLOWED")
            allowed = {name.strip() for name in answer.headers["allow"].split(",")}
            assert allowed - {"HEAD", "OPTIONS"} == right, f"{method} {address}"


HAVE_EFFECTS = {
    "/admin/users/{user_id}/export",
    "/device",
    "/passkey/generate-authenticate-options",
    "/passkey/generate-register-options",
    "/user/export",
    "/verify-email",
}
"""Paths where a GET records, consumes, binds or begins something."""


async def test_head_is_answered_as_get_without_a_body(live_sqlite: Live) -> None:
    """RFC 9110 section 9.3.2; the refusals too."""
    account, session = await live_sqlite.admin()
    session = await live_sqlite.people.enroll(account, session)
    routes = [route for route in await every_route(live_sqlite.api) if route.method == "GET"]
    for route in routes:
        address = route.address()
        got = await live_sqlite.api.get(address, bearer=session.token)
        head = await live_sqlite.api.call("HEAD", address, bearer=session.token)
        assert head.content == b""
        if route.path in HAVE_EFFECTS:
            assert (head.status_code, head.headers["allow"]) == (405, "GET"), route.name
            continue
        assert head.status_code == got.status_code, route.name
        assert head.headers["content-type"] == got.headers["content-type"], route.name
        assert head.headers["content-length"] == got.headers["content-length"], route.name
        wrong = await live_sqlite.api.call("TRACE", address)
        assert {"GET", "HEAD"} <= set(wrong.headers["allow"].split(", ")), route.name


async def test_key_set_at_the_root_is_answered_to_head(live_sqlite: Live) -> None:
    http = live_sqlite.api.http
    got = await http.get("/.well-known/jwks.json")
    head = await http.head("/.well-known/jwks.json")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["cache-control"] == got.headers["cache-control"]


async def test_head_with_a_cookie_needs_no_origin(live_sqlite: Live) -> None:
    """HEAD is a safe method (contract section 2)."""
    _, session = await live_sqlite.people.newcomer()
    head = await live_sqlite.api.call(
        "HEAD", "/session", cookies={SESSION_COOKIE: session.token}, origin=None
    )
    assert head.status_code == 200


# --- bodies ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json+x",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "text/plain; application/json",
        "application/json, text/plain",
    ],
)
async def test_body_of_another_type_is_415(live_sqlite: Live, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    body = json.dumps(SIGN_IN).encode()
    for path in ("/customer/sign-in/email", "/sign-in/email", "/reset-password"):
        request = live_sqlite.api.http.build_request(
            "POST", "/api/auth" + path, content=body, headers=headers
        )
        answer = await live_sqlite.api.http.send(request)
        refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
    ],
)
async def test_json_is_taken_in_every_spelling_of_its_type(live_sqlite: Live, content_type: str) -> None:
    answer = await live_sqlite.api.post(
        "/sign-in/email", raw=json.dumps(SIGN_IN).encode(), headers={"content-type": content_type}
    )
    refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x", "identity, gzip", "gzip, identity"])
async def test_encoded_body_is_415(live_sqlite: Live, encoding: str) -> None:
    answer = await live_sqlite.api.post("/sign-in/email", SIGN_IN, headers={"content-encoding": encoding})
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def padded(size: int) -> bytes:
    body = json.dumps(SIGN_IN).encode()
    return body + b" " * (size - len(body))


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


async def test_body_may_have_64_kib_and_no_byte_more(live_sqlite: Live) -> None:
    """S26: with a declared length or in pieces."""
    api = live_sqlite.api
    fits, exceeds = padded(64 * KIB), padded(64 * KIB + 1)
    refused(await api.post("/sign-in/email", raw=fits), 401, "INVALID_EMAIL_OR_PASSWORD")
    refused(await api.post("/sign-in/email", raw=in_pieces(fits)), 401, "INVALID_EMAIL_OR_PASSWORD")
    refused(await api.post("/sign-in/email", raw=exceeds), 413, "PAYLOAD_TOO_LARGE")
    refused(await api.post("/sign-in/email", raw=in_pieces(exceeds)), 413, "PAYLOAD_TOO_LARGE")


async def test_huge_body_is_not_read_to_its_end(live_sqlite: Live) -> None:
    """A stranger's hundred megabytes cost the server nothing: the answer comes before they were sent."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * KIB * KIB:
            sent += 64 * KIB
            yield b" " * (64 * KIB)

    try:
        answer = await live_sqlite.api.post("/sign-in/email", raw=endless())
    except httpx.TransportError:
        pass
    else:
        refused(answer, 413, "PAYLOAD_TOO_LARGE")
    assert sent < 100 * KIB * KIB
    accepted(await live_sqlite.api.get("/get-session"))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"email": "a@example.com", "password": "x"',
        b'{"email": "a@example.com", "password": "x"} x',
        b'{"email": "a@example.com", "email": "b@example.com", "password": "x"}',
        b'{"email": "a@example.com", "em\\u0061il": "b@example.com", "password": "x"}',
        b'{"email": "a@example.com", "password": "x", "more": {"a": 1, "a": 2}}',
        b"{'email': 'a@example.com'}",
        b'{"password": NaN}',
        b'{"password": Infinity}',
        b'{"password": -Infinity}',
        b'{"password": 1e999}',
        b'{"email": "a@example.com", "password": "x\\u0000y"}',
        b'{"email": "a@example.com", "password": "\\ud800"}',
        b'{"email": "a@example.com", "password": "\\udc00\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"email": "a@example.com", "password": "\xff\xfe"}',
        b'{"email": "a@example.com", "password": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"email": "a@example.com", "password": "x"}',
        '{"email": "a@example.com", "password": "x"}'.encode("utf-16"),
        b'{"more": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"more": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"more": ' + b"9" * 5000 + b"}",
    ],
)
@pytest.mark.parametrize("path", ["/sign-in/email", "/customer/sign-in/email"])
async def test_json_that_others_would_read_differently_is_refused(
    live_sqlite: Live, path: str, body: bytes
) -> None:
    """S26: UTF-8 only, no duplicate keys, NaN, Infinity, NUL, lone surrogates, or more than 32 levels."""
    refused(await live_sqlite.api.post(path, raw=body), 400, "BAD_REQUEST")


async def test_32_levels_are_not_too_deep(live_sqlite: Live) -> None:
    deep: object = 1
    for _ in range(31):
        deep = [deep]
    answer = await live_sqlite.api.post("/sign-in/email", {**SIGN_IN, "more": deep})
    refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
    answer = await live_sqlite.api.post("/sign-in/email", {**SIGN_IN, "more": [deep]})
    refused(answer, 400, "BAD_REQUEST")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"12", b"true", b"[{}]"])
async def test_body_is_an_object(live_sqlite: Live, body: bytes) -> None:
    for path in ("/sign-in/email", "/customer/sign-in/email", "/sign-out"):
        refused(await live_sqlite.api.post(path, raw=body), 400, "VALIDATION_ERROR")


async def test_surrogate_pair_is_a_character(live_sqlite: Live) -> None:
    body = b'{"email": "nobody@example.com", "password": "\\ud83d\\udd11\\ud83d\\udd11"}'
    refused(await live_sqlite.api.post("/sign-in/email", raw=body), 401, "INVALID_EMAIL_OR_PASSWORD")


# --- fields ----------------------------------------------------------------------------------------------------------
NATIVE = [
    "/customer/sign-in/email",
    "/customer/sign-up",
    "/two-factor/verify",
    "/reset-password",
]
TOLERANT = [
    *("/token/refresh", "/sign-in/email", "/sign-up/email"),
    *("/two-factor/verify-totp", "/two-factor/verify-backup-code"),
]
COMPLETE = {
    "/customer/sign-in/email": SIGN_IN,
    "/sign-in/email": SIGN_IN,
    "/customer/sign-up": {**SIGN_IN, "password": "short", "name": "Nobody"},
    "/sign-up/email": {**SIGN_IN, "password": "short", "name": "Nobody"},
    "/token/refresh": {"refreshToken": "x"},
    "/two-factor/verify": {"code": "123456"},
    "/two-factor/verify-totp": {"code": "123456"},
    "/two-factor/verify-backup-code": {"code": "123456"},
    "/reset-password": {"token": "x", "newPassword": "short"},
    "/sign-out": {},
}


@pytest.mark.parametrize("path", NATIVE)
async def test_native_route_refuses_a_field_that_it_does_not_know(live_sqlite: Live, path: str) -> None:
    answer = await live_sqlite.api.post(path, {**COMPLETE[path], "fetchOptions": {}})
    body = refused(answer, 400, "VALIDATION_ERROR")
    assert [detail["loc"] for detail in body["details"]] == ["fetchOptions"]


@pytest.mark.parametrize("path", [*TOLERANT, "/sign-out"])
async def test_better_auths_route_ignores_a_field_that_it_does_not_know(live_sqlite: Live, path: str) -> None:
    known = await live_sqlite.api.post(path, COMPLETE[path])
    answer = await live_sqlite.api.post(path, {**COMPLETE[path], "fetchOptions": {}, "dontRememberMe": [1]})
    assert (answer.status_code, answer.json()) == (known.status_code, known.json())


@pytest.mark.parametrize("path", [*NATIVE, *TOLERANT, "/sign-out"])
@pytest.mark.parametrize(
    "field", ["userId", "ownerId", "emailVerified", "actorTypes", "twoFactorEnabled", "aal"]
)
async def test_server_side_field_is_refused_everywhere(live_sqlite: Live, path: str, field: str) -> None:
    answer = await live_sqlite.api.post(path, {**COMPLETE[path], field: "x"})
    refused(answer, 400, "VALIDATION_ERROR")


async def test_route_without_a_body_takes_none(live_sqlite: Live) -> None:
    """Unknown fields are refused where there are no known ones, too."""
    _, session = await live_sqlite.people.newcomer()
    for method, path in [("DELETE", "/sessions"), ("POST", "/revoke-sessions")]:
        answer = await live_sqlite.api.call(method, path, {"userId": "x"}, bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")
    answer = await live_sqlite.api.delete("/sessions", {"everything": True}, bearer=session.token)
    refused(answer, 400, "VALIDATION_ERROR")
    accepted(await live_sqlite.api.delete("/sessions", {}, bearer=session.token), 204)
    accepted(await live_sqlite.api.delete("/sessions", bearer=session.token), 204)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/two-factor/verify", {"code": 123456}),
        ("/two-factor/verify-totp", {"code": 123456}),
        ("/two-factor/verify", {"code": "123456", "trustDevice": "true"}),
        ("/two-factor/verify", {"code": "123456", "trustDevice": 1}),
        ("/two-factor/verify", {"code": ["123456"]}),
        ("/two-factor/verify", {"code": None}),
        ("/sign-in/email", {**SIGN_IN, "rememberMe": "false"}),
        ("/sign-in/email", {**SIGN_IN, "rememberMe": None}),
        ("/customer/sign-in/email", {**SIGN_IN, "password": 12345678}),
        ("/token/refresh", {"refreshToken": {"$ne": ""}}),
    ],
)
async def test_types_are_strict(live_sqlite: Live, path: str, body: dict[str, object]) -> None:
    """By docs/reference/rest.md: `"123456"` is a code, `123456` is not."""
    refused(await live_sqlite.api.post(path, body), 400, "VALIDATION_ERROR")


async def test_caller_who_may_not_enter_learns_nothing_about_the_body(live_sqlite: Live) -> None:
    """The credential is asked for before the body is looked at."""
    for body in (b"{", b"x" * (70 * KIB), b"[]"):
        refused(await live_sqlite.api.post("/api-keys", raw=body), 401, "UNAUTHORIZED")
        answer = await live_sqlite.api.post("/api-keys", raw=body, headers={"content-type": "text/plain"})
        refused(answer, 401, "UNAUTHORIZED")
