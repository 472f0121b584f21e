"""Attacks on mandatory two-factor authentication: every route, every field, every credential and every way in (S9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.attacks.conftest import Graph
from tests.contract.acting import create_key
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import CARRIERS, Account, Session
from tests.contract.routes import ENROLLING, PUBLIC, WITH_OR_WITHOUT, Route, every_route

pytestmark = pytest.mark.deep

FIELDS = [
    "me { id }",
    "me { twoFactorEnabled }",
    "myApiKeys { id }",
    "mySessions { id }",
    "myOrganizations { id }",
    'organization(id: "0195e0f0-0000-7000-8000-000000000000") { id }',
    '_entities(representations: [{__typename: "User", id: "0195e0f0-0000-7000-8000-000000000000"}]) { __typename }',
    "__typename",
]
MUST_ENROLL = "TWO_FACTOR_SETUP_REQUIRED"
Promoted = tuple[Account, Session]


@pytest.fixture
async def promoted(live: Live) -> Promoted:
    """A customer without a second factor who became an administrator a moment ago, with the session of before."""
    account, session = await live.people.newcomer()
    await live.promote(account)
    return account, session


async def call_route(live: Live, route: Route, **how: Any) -> Answer:
    """Call a route with a body that never passes for a good one."""
    if route.method == "GET":
        return await live.api.get(route.address(), **how)
    return await live.api.call(route.method, route.address(), {}, **how)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_every_route_with_a_session_that_may_only_enroll(
    live: Live, promoted: Promoted, carrier: str
) -> None:
    let_in = []
    for route in await every_route(live.api):
        if route.name in ENROLLING | PUBLIC:
            continue
        answer = await call_route(live, route, **CARRIERS[carrier](promoted[1]))
        if answer.status_code == 403 and answer.json()["code"] == MUST_ENROLL:
            continue
        let_in.append((route.name, answer.status_code, answer.text))
    # Without a challenge it asks for one with a session or without.
    assert [name for name, *_ in let_in if name not in WITH_OR_WITHOUT] == []
    assert all(status >= 400 for _, status, _ in let_in)


async def test_every_route_with_an_api_key_of_before(live: Live) -> None:
    account, session = await live.people.newcomer()
    key = (await create_key(live.api, session))["key"]
    await live.promote(account)
    for route in await every_route(live.api):
        answer = await call_route(live, route, bearer=key)
        assert (answer.status_code, answer.json()["code"]) == (403, MUST_ENROLL), route.name


@pytest.mark.parametrize("path", ["/session", "/whoami", "/organizations", "/api-keys", "/admin/users"])
async def test_every_route_without_credential(live: Live, path: str) -> None:
    refused(await live.api.get(path), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("field", FIELDS)
async def test_every_field_with_a_session_that_may_only_enroll(
    promoted: Promoted, graph: Graph, field: str
) -> None:
    for token in (promoted[1].token, promoted[1].access_token):
        refused(await graph(f"{{ {field} }}", token), 403, MUST_ENROLL)


@pytest.mark.parametrize("field", FIELDS)
async def test_every_field_with_an_api_key_of_before(live: Live, graph: Graph, field: str) -> None:
    account, session = await live.people.newcomer()
    key = (await create_key(live.api, session))["key"]
    accepted(await live.api.get("/whoami", bearer=key))
    await live.promote(account)
    refused(await graph(f"{{ {field} }}", key), 403, MUST_ENROLL)


async def test_administrators_routes_with_every_lesser_caller(live: Live, victim: Account) -> None:
    """Neither a customer, with two factors, nor a key, nor an administrator who wears another actor type."""
    session = await live.people.sign_in(victim)
    key = (await create_key(live.api, session))["key"]
    routes = [route for route in await every_route(live.api) if route.path.startswith("/admin/")]
    assert len(routes) >= 8
    for route in routes:
        refused(await call_route(live, route, bearer=session.token), 403, "FORBIDDEN")
        refused(await call_route(live, route, bearer=key), 403, "SESSION_REQUIRED")


async def test_administrator_in_a_lesser_actor_type(live: Live) -> None:
    account, session = await live.admin()
    await live.people.enroll(account, session)
    customer = await live.people.sign_in(account, "customer")
    refused(await live.api.get("/admin/users", bearer=customer.token), 403, "FORBIDDEN")
    refused(
        await live.api.post("/api-keys", {"name": "k", "scopes": ["admin:all"]}, bearer=customer.token),
        403,
        "INSUFFICIENT_SCOPE",
    )


WAYS_IN: dict[str, Callable[[Account], tuple[str, dict[str, Any]]]] = {
    "as customer": lambda account: ("/customer/sign-in/email", {}),
    "as administrator": lambda account: ("/admin/sign-in/email", {}),
    "by better-auth's route": lambda account: ("/sign-in/email", {}),
    "without remembering": lambda account: ("/sign-in/email", {"rememberMe": False}),
    "with a callback": lambda account: ("/sign-in/email", {"callbackURL": "/"}),
}


@pytest.mark.parametrize("way", WAYS_IN)
async def test_every_way_in(live: Live, promoted: Promoted, way: str) -> None:
    account, _ = promoted
    path, more = WAYS_IN[way](account)
    body = {"email": account.email, "password": account.password, **more}
    answer = await live.api.post(path, body)
    assert accepted(answer)["requires2FASetup"] is True
    session = Session.of(answer)
    assert session.body["session"]["restrictedTo"] == "two_factor_setup"
    refused(await live.api.get("/api-keys", bearer=session.token), 403, MUST_ENROLL)


async def test_refreshing_out_of_it(live: Live, promoted: Promoted) -> None:
    body = {"refreshToken": promoted[1].refresh_token}
    token = accepted(await live.api.post("/token/refresh", body))["accessToken"]
    refused(await live.api.get("/organizations", bearer=token), 403, MUST_ENROLL)


async def test_switching_out_of_it(live: Live, promoted: Promoted) -> None:
    for actor in ("customer", "admin"):
        answer = await live.api.post("/switch-actor", {"actorType": actor}, bearer=promoted[1].token)
        refused(answer, 403, MUST_ENROLL)


async def test_changing_the_password_out_of_it(live: Live, promoted: Promoted) -> None:
    account, session = promoted
    body = {"currentPassword": account.password, "newPassword": "another battery staple"}
    refused(await live.api.post("/change-password", body, bearer=session.token), 403, MUST_ENROLL)


async def test_step_up_with_a_backup_code_that_is_pending(live: Live, promoted: Promoted) -> None:
    account, session = promoted
    await live.people.enable(account, session)
    refused(await live.people.redeem(account.codes[0], bearer=session.token), 403, MUST_ENROLL)
    refused(await live.api.get("/organizations", bearer=session.token), 403, MUST_ENROLL)


async def test_pending_enrollment_as_the_second_factor(live: Live, promoted: Promoted) -> None:
    account, session = promoted
    await live.people.enable(account, session)
    again = Session.of(await live.people.begin(account, "admin"))
    refused(await live.api.get("/organizations", bearer=again.token), 403, MUST_ENROLL)


RESPELLED = [
    "/api-keys/",
    "//api-keys",
    "/%61pi-keys",
    "/api-keys?x=/two-factor",
    "/two-factor/../api-keys",
    "/session/../api-keys",
    "/API-KEYS",
    "/api-keys;/session",
    "/session%2f..%2fapi-keys",
]


@pytest.mark.parametrize("path", RESPELLED)
async def test_guarded_route_under_another_spelling(live: Live, promoted: Promoted, path: str) -> None:
    answer = await live.api.get(path, bearer=promoted[1].token)
    assert answer.status_code in (403, 404), answer.text


@pytest.mark.parametrize(
    "header",
    ["x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url", "x-forwarded-prefix"],
)
async def test_guarded_route_by_a_header(live: Live, promoted: Promoted, header: str) -> None:
    for value in ("GET", "/api/auth/session"):
        answer = await live.api.get("/api-keys", bearer=promoted[1].token, headers={header: value})
        refused(answer, 403, MUST_ENROLL)


async def test_promotion_reaches_a_credential_that_was_just_used(live: Live, graph: Graph) -> None:
    """What a process remembers of a session or key does not survive the promotion by another process."""
    account, session = await live.people.newcomer()
    key = (await create_key(live.api, session))["key"]
    for _ in range(8):
        for token in (key, session.token, session.access_token):
            accepted(await live.api.get("/organizations", bearer=token))
    await live.promote(account)
    for _ in range(8):
        for token in (key, session.token, session.access_token):
            refused(await live.api.get("/organizations", bearer=token), 403, MUST_ENROLL)
            refused(await graph(bearer=token), 403, MUST_ENROLL)


async def test_signing_up_as_administrator(live: Live) -> None:
    body = {"email": "eve@example.com", "password": "some long password", "name": "Eve"}
    refused(await live.api.post("/admin/sign-up", body), 403, "SIGN_UP_NOT_ALLOWED")
    for field in ("actorTypes", "actorType", "role"):
        answer = await live.api.post("/customer/sign-up", {**body, field: "admin"})
        refused(answer, 400, "VALIDATION_ERROR")


async def test_using_an_actor_type_that_one_does_not_have(live: Live) -> None:
    account, session = await live.people.newcomer()
    refused(await live.people.begin(account, "admin"), 403, "ACTOR_TYPE_MISMATCH")
    answer = await live.api.post("/switch-actor", {"actorType": "admin"}, bearer=session.token)
    refused(answer, 403, "ACTOR_TYPE_MISMATCH")
