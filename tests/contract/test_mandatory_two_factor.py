"""Mandatory two-factor authentication: one default-deny decision on every way in (docs/reference/rest.md; S9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from czo_auth import AuthMiddleware
from czo_auth.core.context import system_context
from tests.contract.api import Answer, Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import CARRIERS, Account, Session
from tests.contract.routes import (
    ENROLLING,
    PUBLIC,
    WITH_AN_API_KEY,
    WITH_OR_WITHOUT,
    every_route,
)
from tests.contract.routes import Route as Listed
from tests.support.settings import HERE

SETUP = "TWO_FACTOR_SETUP_REQUIRED"
Caller = Callable[[Listed], Awaitable[Answer]]


def calling(api: Api, **how: Any) -> Caller:
    """Call any route, with a body where it takes one; what the body says is not the question here."""

    async def call(route: Listed) -> Answer:
        if route.method == "GET":
            return await api.get(route.address(), **how)
        return await api.call(route.method, route.address(), _body_of(route), **how)

    return call


def _body_of(route: Listed) -> dict[str, object]:
    """Give a code where the body is not made of other things, and what an authenticator says where that is asked."""
    names = {field.name for field in route.fields}
    if "response" in names:
        return {"response": {}}
    return {"code": "000000"} if names - {"challenge"} else {}


async def new_key(here: Deployment, session: Session) -> str:
    answer = await here.api.post("/api-keys", {"name": "a key"}, bearer=session.token)
    return str(accepted(answer, 201)["apiKey"]["key"])


# --- the walk over every route ---------------------------------------------------------------------------------------
async def test_every_route_is_closed_to_strangers_but_the_public_ones(live: Live) -> None:
    routes = await every_route(live.api)
    assert {route.name for route in routes} >= PUBLIC | WITH_OR_WITHOUT | ENROLLING
    call = calling(live.api)
    for route in routes:
        answer = await call(route)
        if route.name in PUBLIC:
            assert answer.status_code in (200, 400, 401), route.name
            assert answer.status_code == 200 or answer.json()["code"] != "UNAUTHORIZED", route.name
        elif route.name in WITH_OR_WITHOUT:
            assert answer.status_code in (200, 401), route.name
            assert answer.status_code == 200 or answer.json()["code"] == "INVALID_TWO_FACTOR_COOKIE"
        else:
            code = "UNAUTHORIZED_SESSION" if route.path == "/api-key/create" else "UNAUTHORIZED"
            refused(answer, 401, code)


@pytest.mark.parametrize(
    ("carried", "promoted"),
    [
        *(
            pytest.param(name, False, id=f"administrator, {name}", marks=marks)
            for name, marks in zip(CARRIERS, ([], pytest.mark.deep, []), strict=True)
        ),
        # How a session is carried is decided before who owns it is asked: all pairs are walked through in depth.
        *(
            pytest.param(name, True, id=f"promoted customer, {name}", marks=marks)
            for name, marks in zip(CARRIERS, ([], pytest.mark.deep, pytest.mark.deep), strict=True)
        ),
    ],
    indirect=["carried"],
)
async def test_every_route_is_closed_to_a_session_that_may_only_enroll(
    live: Live, carried: Any, promoted: bool
) -> None:
    """Except exactly the listed ones; for every way to carry a session, and a live session
    of any actor type."""
    if promoted:
        account, session = await live.people.newcomer("merchant")
        await live.promote(account)
    else:
        account, session = await live.admin()
    call = calling(live.api, **carried(session))
    routes = await every_route(live.api)
    # What ends or renews the session comes last.
    for route in sorted(routes, key=lambda route: route.name == "POST /sign-out"):
        answer = await call(route)
        body = answer.json() if answer.content else None
        is_blocked = isinstance(body, dict) and body.get("code") == SETUP
        if route.name in ENROLLING | PUBLIC:
            assert not is_blocked, f"{route.name} is closed"
        else:
            assert is_blocked, f"{route.name} is open: {answer.status_code} {answer.text}"
            refused(answer, 403, SETUP)


async def test_every_route_is_closed_to_an_api_key_whose_owner_must_enroll(live: Live) -> None:
    """The exceptions are for sessions; such a key is refused on every route."""
    account, session = await live.people.newcomer()
    key = await new_key(live, session)
    accepted(await live.api.get("/whoami", bearer=key))
    await live.promote(account)
    call = calling(live.api, bearer=key)
    for route in await every_route(live.api):
        answer = await call(route)
        assert answer.status_code == 403, f"{route.name}: {answer.status_code} {answer.text}"
        refused(answer, 403, SETUP)


async def test_account_routes_are_closed_to_every_api_key(live: Live) -> None:
    """403 SESSION_REQUIRED; it may read the organizations that it is allowed to see."""
    session = await live.people.sign_in(live.prepared.admins[0], "admin")
    key = await new_key(live, session)
    call = calling(live.api, bearer=key)
    for route in await every_route(live.api):
        answer = await call(route)
        is_account = route.name not in PUBLIC | WITH_AN_API_KEY | {"POST /sign-out", "GET /get-session"}
        reads_organizations = route.method == "GET" and route.path.startswith("/organization")
        if is_account and not reads_organizations:
            assert answer.status_code == 403, f"{route.name}: {answer.status_code} {answer.text}"
            refused(answer, 403, "SESSION_REQUIRED")
        else:
            assert answer.status_code != 500, route.name
    refused(await live.api.post("/api-keys/verify", {"key": key}, bearer=key), 403, "INSUFFICIENT_SCOPE")
    assert await live.people.is_alive(session)


async def test_every_route_refuses_a_dead_credential(live: Live) -> None:
    """A session that ended is nobody, and an unknown key is no key."""
    _, session = await live.people.newcomer()
    accepted(await live.api.post("/sign-out", {}, bearer=session.token))
    dead = {name: (carry(session), "INVALID_TOKEN") for name, carry in CARRIERS.items()}
    dead["api key"] = ({"bearer": "czo_" + "A" * 43}, "INVALID_API_KEY")
    for how, code in dead.values():
        call = calling(live.api, **how)
        for route in await every_route(live.api):
            if route.name not in PUBLIC | WITH_OR_WITHOUT:
                answer = await call(route)
                assert answer.status_code == 401, f"{route.name}: {answer.text}"
                refused(answer, 401, code)


async def test_graphql_is_closed_with_the_same_body(live: Live, carried: Any) -> None:
    """GraphQL answers HTTP 403 with the same body."""
    _, session = await live.admin()
    how = carried(session)
    headers = {"content-type": "application/json"}
    if "bearer" in how:
        headers["authorization"] = f"Bearer {how['bearer']}"
    else:
        headers |= {
            "cookie": "; ".join(f"{k}={v}" for k, v in how["cookies"].items()),
            "origin": live.api.origin,
        }
    answer = await live.api.http.post("/graphql", json={"query": "{ me { id } }"}, headers=headers)
    there = refused(answer, 403, SETUP)
    assert there == refused(await live.api.get("/sessions", **how), 403, SETUP)


# --- the ways in -----------------------------------------------------------------------------------------------------
async def test_administrator_without_a_factor_gets_a_session_that_may_only_enroll(live: Live) -> None:
    """Contract 4."""
    account, session = await live.admin()
    assert session.body["requires2FASetup"] is True
    assert session.body["requires2FA"] is False
    assert (session.body["session"]["restrictedTo"], session.body["session"]["aal"]) == (
        "two_factor_setup",
        1,
    )
    shown = accepted(await live.api.get("/session", bearer=session.token))
    assert shown["session"]["restrictedTo"] == "two_factor_setup"
    assert accepted(await live.api.get("/whoami", bearer=session.token))["restrictedTo"] == "two_factor_setup"
    state = await live.people.two_factor(session)
    assert (state["enabled"], state["requiredByPolicy"]) == (False, True)
    renewed = await live.people.enroll(account, session)
    assert renewed.body["requires2FASetup"] is False
    assert renewed.body["session"]["restrictedTo"] is None
    accepted(await live.api.get("/admin/users", bearer=renewed.token))


@pytest.mark.parametrize("path", ["/customer/sign-in/email", "/admin/sign-in/email", "/sign-in/email"])
async def test_rule_holds_whichever_actor_type_signs_in(live: Live, path: str) -> None:
    """By docs/reference/rest.md: *any actor type that the user holds*."""
    account = await live.people.sign_up()
    await live.promote(account)
    body = {"email": account.email, "password": account.password}
    session = Session.of(await live.api.post(path, body))
    assert session.body["requires2FASetup"] is True
    refused(await live.api.get("/sessions", bearer=session.token), 403, SETUP)
    pair = accepted(await live.api.post("/token/refresh", {"refreshToken": session.refresh_token}))
    refused(await live.api.get("/sessions", bearer=pair["accessToken"]), 403, SETUP)


async def test_promotion_restricts_live_sessions_at_their_next_request(live: Live, carried: Any) -> None:
    """From database state, not from the token alone; in every process."""
    account, session = await live.people.newcomer()
    for _ in range(4):
        accepted(await live.api.get("/sessions", **carried(session)))
    await live.promote(account)
    for _ in range(8):
        refused(await live.api.get("/sessions", **carried(session)), 403, SETUP)
        shown = accepted(await live.api.get("/session", **carried(session)))
        assert shown["session"]["restrictedTo"] == "two_factor_setup"


async def test_lost_actor_type_lifts_the_restriction(live: Live) -> None:
    account, session = await live.people.newcomer()
    await live.promote(account)
    refused(await live.api.get("/sessions", bearer=session.token), 403, SETUP)
    await live.auth.administration.change_actor_types(
        account.id, add=[], remove=["admin"], context=system_context(live.clock())
    )
    accepted(await live.api.get("/sessions", bearer=session.token))


async def test_enrollment_lifts_the_restriction_of_keys(live: Live) -> None:
    account, session = await live.people.newcomer()
    key = await new_key(live, session)
    await live.promote(account)
    refused(await live.api.get("/whoami", bearer=key), 403, SETUP)
    await live.people.enroll(account, session)
    accepted(await live.api.get("/whoami", bearer=key))


async def test_restricted_session_with_a_challenge_of_somebody_else_finishes_that_sign_in(live: Live) -> None:
    """What needs no credential stays open, and a challenge in the body decides."""
    _, restricted = await live.admin()
    account = live.enrolled_user
    challenge = await live.people.challenge(account)
    answer = await live.people.redeem(account.codes.pop(), challenge=challenge, bearer=restricted.token)
    assert Session.of(answer).body["user"]["id"] == account.id


async def test_factor_that_policy_demands_is_not_disabled(timed: Timed) -> None:
    """409, whichever actor type is worn, and no code is spent."""
    ada = timed.ada
    for actor in ("admin", "customer"):
        session = await timed.people.sign_in(ada, actor)
        timed.time.advance(minutes=1)
        code = ada.has.at(0)
        answer = await timed.api.post(
            "/two-factor/disable", {"password": ada.password, "code": code}, bearer=session.token
        )
        refused(answer, 409, "TWO_FACTOR_REQUIRED_BY_POLICY")
        stepped = Session.of(await timed.people.verify(code, bearer=session.token))
        assert (await timed.people.two_factor(stepped))["enabled"] is True
        timed.time.advance(minutes=1)


async def test_administration_needs_the_actor_type_and_a_proved_factor(live: Live) -> None:
    """Actor `admin`, `aal` 2."""
    ada = live.prepared.admins[0]
    as_customer = await live.people.sign_in(ada, "customer")
    refused(await live.api.get("/admin/users", bearer=as_customer.token), 403, "FORBIDDEN")
    customer = await live.people.sign_in(live.enrolled_user)
    refused(await live.api.get("/admin/users", bearer=customer.token), 403, "FORBIDDEN")
    as_admin = await live.people.sign_in(ada, "admin")
    accepted(await live.api.get("/admin/users", bearer=as_admin.token))


# --- the host's own routes -------------------------------------------------------------------------------------------
async def greet(request: Request) -> PlainTextResponse:
    return PlainTextResponse("orders")


async def test_host_routes_are_closed_too(deploy: Deploy, carried: Any) -> None:
    """Every route of this product *and of the host*."""
    here = await deploy()
    host = Starlette(routes=[Route("/orders", greet), Mount("/api/auth", here.auth.app)])
    guarded = AuthMiddleware(host, auth=here.auth)
    async with new_client(HERE, transport=httpx.ASGITransport(guarded)) as http:
        account, session = await here.people.newcomer()
        key = await new_key(here, session)

        async def order(**how: Any) -> Answer:
            headers = {}
            if "bearer" in how:
                headers["authorization"] = f"Bearer {how['bearer']}"
            if "cookies" in how:
                headers["cookie"] = "; ".join(f"{name}={value}" for name, value in how["cookies"].items())
            return await http.get("/orders", headers=headers)

        assert (await order(**carried(session))).text == "orders"
        assert (await order(bearer=key)).text == "orders"
        await here.promote(account)
        refused(await order(**carried(session)), 403, SETUP)
        refused(await order(bearer=key), 403, SETUP)
        # The product's own mount decides for itself: enrolling must go on there.
        through = Api(http)
        accepted(await through.get("/session", **carried(session)))
        refused(await through.get("/sessions", **carried(session)), 403, SETUP)


async def test_administrator_resets_a_factor_and_the_user_is_notified(timed: Timed) -> None:
    """Ends sessions; the next sign-in of somebody who must have one may only enroll."""
    carol: Account = timed.carol
    session = await timed.people.sign_in(carol)
    admin = await timed.people.sign_in(timed.ada, "admin")
    answer = await timed.api.delete(
        f"/admin/users/{carol.id}/two-factor", {"reason": "lost everything"}, bearer=admin.token
    )
    accepted(answer, 204)
    assert not await timed.people.is_alive(session)
    assert await timed.mail.token(carol.email, "two_factor_reset") == "None"
    assert accepted(await timed.people.begin(carol))["requires2FA"] is False
