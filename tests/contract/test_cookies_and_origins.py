"""Cookies, the sites that may use them, and CORS (docs/reference/rest.md; better-auth-wire, Cross-cutting)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api import CHALLENGE_COOKIE, SESSION_COOKIE, cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live

TRUSTED = ["https://app.example", "https://a.shop.example", "https://a.b.shop.example"]
STRANGERS = [
    "https://evil.example",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://evilapp.example",
    "https://shop.example.evil.example",
    "https://evil.example/.shop.example",
    "https://shop.example",
]
ENTRIES = ["/customer/sign-in/email", "/sign-in/email", "/customer/sign-up", "/sign-up/email"]


async def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(live_sqlite: Live) -> None:
    account = await live_sqlite.people.sign_up()
    cookie = cookies_set_by(await live_sqlite.people.begin(account))[SESSION_COOKIE]
    assert cookie.value.startswith("czs_")
    assert cookie.attributes == {"max-age": "604800", "path": "/", "httponly": "", "samesite": "Lax"}


async def test_cookies_are_secure_on_https(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(base_url="https://auth.test")
    plain = cookies_set_by(await here.people.begin(await here.people.sign_up()))
    asked = cookies_set_by(await here.people.begin(here.carol))
    assert plain.keys() == {"__Secure-better-auth.session_token", "__Secure-czo-auth.known_browser"}
    assert asked.keys() == {"__Secure-better-auth.two_factor"}
    for cookie in [*plain.values(), *asked.values()]:
        assert "secure" in cookie.attributes
    cookie = plain["__Secure-better-auth.session_token"]
    accepted(await here.api.get("/session", cookies={cookie.name: cookie.value}))
    # A name without the prefix may have been set over plain http, by anyone on the way.
    refused(await here.api.get("/session", cookies={SESSION_COOKIE: cookie.value}), 401, "UNAUTHORIZED")


async def test_sign_out_clears_the_cookies(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    answer = await live_sqlite.api.post("/sign-out", {}, cookies=session.cookies)
    assert accepted(answer) == {"success": True}
    cleared = cookies_set_by(answer)
    assert cleared[SESSION_COOKIE].value == ""
    assert cleared[SESSION_COOKIE].attributes["max-age"] == "0"
    assert not await live_sqlite.people.is_alive(session)


async def test_sign_out_without_a_cookie_clears_none(live_sqlite: Live) -> None:
    """A form of another site comes without our cookies (SameSite); its answer must not take them away."""
    for origin in (None, "https://evil.example"):
        answer = await live_sqlite.api.post("/sign-out", origin=origin)
        assert accepted(answer) == {"success": True}
        assert "set-cookie" not in answer.headers


async def test_challenge_cookie_finishes_the_sign_in_and_goes(live: Live) -> None:
    account = live.enrolled_user
    challenge = await live.people.challenge(account)
    cookie = {CHALLENGE_COOKIE: challenge}
    refused(
        await live.people.verify(account.has.at(0), cookies=cookie, origin=None),
        403,
        "MISSING_OR_NULL_ORIGIN",
    )
    answer = await live.people.verify(account.has.code(), cookies=cookie)
    accepted(answer)
    cookies = cookies_set_by(answer)
    assert cookies[SESSION_COOKIE].value == answer.headers["set-auth-token"]
    assert cookies[CHALLENGE_COOKIE].value == ""
    assert cookies[CHALLENGE_COOKIE].attributes["max-age"] == "0"


WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/two-factor/enable", {"password": "x"}),
    ("POST", "/two-factor/verify", {"code": "123456"}),
    ("POST", "/change-password", {"currentPassword": "x", "newPassword": "y"}),
    ("POST", "/api-keys", {"name": "x"}),
    ("POST", "/sign-out", {}),
    ("POST", "/update-user", {"name": "x"}),
    ("DELETE", "/sessions", {}),
    ("POST", "/revoke-sessions", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_write_with_a_cookie_must_say_which_site_it_comes_from(
    live_sqlite: Live, method: str, path: str, body: dict[str, Any]
) -> None:
    """403, nothing done, and no cookie touched."""
    people, api = live_sqlite.people, live_sqlite.api
    _, session = await people.newcomer()
    for origin, code in [(None, "MISSING_OR_NULL_ORIGIN"), ("null", "MISSING_OR_NULL_ORIGIN")] + [
        (stranger, "INVALID_ORIGIN") for stranger in STRANGERS[:3]
    ]:
        answer = await api.call(method, path, body, cookies=session.cookies, origin=origin)
        refused(answer, 403, code)
        assert "set-cookie" not in answer.headers
    assert await people.is_alive(session)
    answer = await api.call(method, path, body, bearer=session.token, origin=STRANGERS[0])
    assert answer.status_code != 403, "a Bearer request needs no origin"


@pytest.mark.parametrize("origin", STRANGERS)
async def test_stranger_that_looks_like_a_trusted_site_is_refused(live_sqlite: Live, origin: str) -> None:
    _, session = await live_sqlite.people.newcomer()
    answer = await live_sqlite.api.post("/update-user", {"name": "x"}, cookies=session.cookies, origin=origin)
    refused(answer, 403, "INVALID_ORIGIN")


@pytest.mark.parametrize("origin", [*TRUSTED, "HTTPS://APP.example"])
async def test_trusted_site_may_use_the_cookie(live_sqlite: Live, origin: str) -> None:
    _, session = await live_sqlite.people.newcomer()
    api = live_sqlite.api
    accepted(await api.post("/update-user", {"name": "x"}, cookies=session.cookies, origin=origin))
    referer = {"referer": f"{origin}/account?tab=1"}
    accepted(
        await api.post("/update-user", {"name": "x"}, cookies=session.cookies, origin=None, headers=referer)
    )


async def test_referer_that_is_no_address_is_refused_like_none(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    answer = await live_sqlite.api.post(
        "/update-user", {"name": "x"}, cookies=session.cookies, origin=None, headers={"referer": "http://["}
    )
    refused(answer, 403, "MISSING_OR_NULL_ORIGIN")


async def test_origin_decides_over_a_referer(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    headers = {"referer": f"{live_sqlite.api.origin}/account"}
    for origin, code in (("https://evil.example", "INVALID_ORIGIN"), ("null", "MISSING_OR_NULL_ORIGIN")):
        answer = await live_sqlite.api.post(
            "/update-user", {"name": "x"}, cookies=session.cookies, origin=origin, headers=headers
        )
        refused(answer, 403, code)


async def test_reading_with_a_cookie_needs_no_origin(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for path in ("/session", "/whoami", "/get-session", "/sessions", "/two-factor", "/api-keys"):
        accepted(await live_sqlite.api.get(path, cookies=session.cookies, origin=None))


async def test_cookie_that_is_no_session_is_no_credential(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for value in (session.access_token, session.refresh_token, "czs_short", "", session.token + "x"):
        answer = await live_sqlite.api.get("/session", cookies={SESSION_COOKIE: value})
        refused(answer, 401, "UNAUTHORIZED")


# --- signing in and up at another site's wish ------------------------------------------------------------------------
@pytest.mark.parametrize("path", ENTRIES)
async def test_sign_in_and_up_ask_for_the_origin_of_every_browser(live_sqlite: Live, path: str) -> None:
    """better-auth-wire: demanded as soon as any `Sec-Fetch-*` or `Origin` header is there."""
    api = live_sqlite.api
    body = {"email": "nobody@example.com", "password": "seven77", "name": "Nobody"}
    if "sign-in" in path:
        del body["name"]
    known = {400, 401}
    cases: list[tuple[dict[str, str], str | None]] = [
        ({"sec-fetch-mode": "cors"}, "MISSING_OR_NULL_ORIGIN"),
        ({"sec-fetch-site": "same-origin"}, "MISSING_OR_NULL_ORIGIN"),
        ({"sec-fetch-dest": "empty"}, "MISSING_OR_NULL_ORIGIN"),
        ({"origin": "null"}, "MISSING_OR_NULL_ORIGIN"),
        ({"origin": "https://evil.example"}, "INVALID_ORIGIN"),
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, "INVALID_ORIGIN"),
        (
            {"origin": "https://evil.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
            "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED",
        ),
        ({"origin": "https://app.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, None),
        ({"origin": api.origin, "sec-fetch-site": "same-origin"}, None),
        ({}, None),
    ]
    for headers, code in cases:
        answer = await api.post(path, body, headers=headers)
        if code is None:
            assert answer.status_code in known, answer.text
        else:
            refused(answer, 403, code)


async def test_sign_in_over_an_old_cookie_needs_an_origin(live_sqlite: Live) -> None:
    account, session = await live_sqlite.people.newcomer()
    body = {"email": account.email, "password": account.password}
    answer = await live_sqlite.api.post("/sign-in/email", body, cookies=session.cookies, origin=None)
    refused(answer, 403, "MISSING_OR_NULL_ORIGIN")
    accepted(await live_sqlite.api.post("/sign-in/email", body, cookies=session.cookies))


# --- CORS ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("origin", TRUSTED)
async def test_trusted_site_may_ask_with_credentials_and_read_the_token(
    live_sqlite: Live, origin: str
) -> None:
    preflight = await live_sqlite.api.call(
        "OPTIONS",
        "/sign-in/email",
        origin=origin,
        headers={
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,authorization",
        },
    )
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == origin
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert "content-type" in allowed
    assert "authorization" in allowed
    assert preflight.headers["cache-control"] == "no-store"

    account = await live_sqlite.people.sign_up()
    answer = await live_sqlite.api.post(
        "/sign-in/email", {"email": account.email, "password": account.password}, origin=origin
    )
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "set-auth-token" in answer.headers["access-control-expose-headers"].lower()
    assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_stranger_may_neither_ask_nor_read(live_sqlite: Live, origin: str) -> None:
    preflight = await live_sqlite.api.call(
        "OPTIONS", "/sign-in/email", origin=origin, headers={"access-control-request-method": "POST"}
    )
    assert "access-control-allow-origin" not in preflight.headers
    assert preflight.headers["cache-control"] == "no-store"
    answer = await live_sqlite.api.get("/get-session", headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_refusal_can_be_read_by_a_trusted_site_too(live_sqlite: Live) -> None:
    answer = await live_sqlite.api.get("/session", headers={"origin": "https://app.example"})
    refused(answer, 401, "UNAUTHORIZED")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize(
    "asked", ["sentry-trace, baggage", "x-api-key", "traceparent,x-request-id,if-none-match"]
)
async def test_preflight_of_a_trusted_site_may_ask_for_any_header(live_sqlite: Live, asked: str) -> None:
    """Tracing libraries add headers to every request of a page."""
    headers = {"access-control-request-method": "POST", "access-control-request-headers": asked}
    for origin in TRUSTED:
        answer = await live_sqlite.api.call("OPTIONS", "/sign-in/email", origin=origin, headers=headers)
        assert answer.status_code == 200
        allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
        assert {name.strip() for name in asked.split(",")} <= allowed
    answer = await live_sqlite.api.call(
        "OPTIONS", "/sign-in/email", origin="https://evil.example", headers=headers
    )
    assert "access-control-allow-origin" not in answer.headers


async def test_default_server_takes_localhost(deploy_sqlite: Deploy) -> None:
    """No base URL is set: what the server prints is what browsers may use."""
    here = await deploy_sqlite(base_url=None)
    _, session = await here.people.newcomer()
    for origin in ("http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"):
        accepted(await here.api.post("/update-user", {"name": "x"}, cookies=session.cookies, origin=origin))
    answer = await here.api.post(
        "/update-user", {"name": "x"}, cookies=session.cookies, origin="http://localhost:8001"
    )
    refused(answer, 403, "INVALID_ORIGIN")
