"""Attacks on API keys: what they reach, whose they are, and what ends them (S15 to S18, S20)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.attacks.conftest import Graph
from tests.contract.acting import (
    UNKNOWN,
    administrator,
    create_key,
    create_organization,
    is_accepted,
    join,
    principal_of,
)
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, Session
from tests.contract.routes import NOWHERE, PUBLIC, WITH_AN_API_KEY, WITH_OR_WITHOUT, every_route

pytestmark = pytest.mark.deep

Person = tuple[Account, Session]
READABLE = {
    "/organizations",
    "/organizations/{organization_id}",
    "/organizations/{organization_id}/members",
}


@pytest.fixture
async def owner(live: Live) -> Person:
    return await live.people.newcomer()


@pytest.fixture
async def key(live: Live, owner: Person) -> dict[str, Any]:
    return await create_key(live.api, owner[1], scopes=["orders:read"])


@pytest.fixture
async def existing_key(live: Live, somebody: Person) -> AsyncIterator[str]:
    """A key that is taken away again, of somebody who is shared."""
    shown = await create_key(live.api, somebody[1])
    yield str(shown["key"])
    accepted(await live.api.delete(f"/api-keys/{shown['id']}", bearer=somebody[1].token), 204)


# --- what a key reaches ----------------------------------------------------------------------------------------------
async def test_every_account_route_with_a_key(live: Live, key: dict[str, Any]) -> None:
    """S16: neither keys, factors, passwords nor sessions, and nothing of better-auth's routes for them either."""
    let_in = []
    for route in await every_route(live.api):
        body: tuple[Any, ...] = () if route.method == "GET" else ({},)
        answer = await live.api.call(route.method, route.address(), *body, bearer=key["key"])
        if answer.status_code != 403 or answer.json()["code"] != "SESSION_REQUIRED":
            let_in.append(route)
    known = PUBLIC | WITH_OR_WITHOUT | WITH_AN_API_KEY
    more = {route.name for route in let_in} - known
    reads = {f"GET {path}" for path in READABLE}
    assert {name for name in more if not name.startswith("GET /organization/")} <= reads


CLOSED = [
    ("POST", "/api-keys", {"name": "another"}),
    ("GET", "/api-keys", None),
    ("PATCH", f"/api-keys/{NOWHERE}", {"name": "x"}),
    ("DELETE", f"/api-keys/{NOWHERE}", None),
    ("POST", f"/api-keys/{NOWHERE}/rotate", {}),
    ("POST", "/two-factor/enable", {"password": "x"}),
    ("POST", "/two-factor/disable", {"password": "x"}),
    ("POST", "/two-factor/generate-backup-codes", {"password": "x"}),
    ("GET", "/two-factor", None),
    ("POST", "/change-password", {"currentPassword": "x", "newPassword": "some long password"}),
    ("GET", "/sessions", None),
    ("DELETE", "/sessions", None),
    ("GET", "/session", None),
    ("POST", "/switch-actor", {"actorType": "customer"}),
    ("POST", "/organizations", {"name": "x"}),
    ("PATCH", f"/organizations/{NOWHERE}", {"name": "x"}),
    ("DELETE", f"/organizations/{NOWHERE}", None),
    ("POST", f"/organizations/{NOWHERE}/invitations", {"email": "a@example.com", "role": "owner"}),
    ("POST", "/invitations/accept", {"token": "czi_" + "A" * 43}),
    ("GET", "/admin/users", None),
    ("GET", "/admin/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CLOSED, ids=[f"{one[0]} {one[1]}" for one in CLOSED])
async def test_key_where_a_session_is_needed(
    live: Live, existing_key: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    more = () if body is None else (body,)
    answer = await live.api.call(method, path, *more, bearer=existing_key)
    refused(answer, 403, "SESSION_REQUIRED")


@pytest.mark.parametrize("field", ["mySessions { id }", "myApiKeys { id }"])
async def test_key_on_fields_of_the_account(key: dict[str, Any], graph: Graph, field: str) -> None:
    answer = await graph(f"{{ {field} }}", key["key"])
    assert answer.json()["errors"][0]["extensions"]["code"] == "SESSION_REQUIRED"


# --- whose it is -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "field",
    [
        "userId",
        "user_id",
        "ownerId",
        "owner_id",
        "referenceId",
        "id",
        "key",
        "prefix",
        "digest",
        "createdAt",
        "lastUsedAt",
        "enabled",
        "rateLimitEnabled",
        "permissions",
    ],
)
async def test_owner_or_server_value_in_the_body(live: Live, somebody: Person, field: str) -> None:
    answer = await live.api.post("/api-keys", {"name": "k", field: NOWHERE}, bearer=somebody[1].token)
    refused(answer, 400, "VALIDATION_ERROR")


ON_A_KEY: dict[str, Callable[[Live, str, str], Awaitable[Answer]]] = {
    "read": lambda live, key, by: live.api.get(f"/api-keys/{key}", bearer=by),
    "change": lambda live, key, by: live.api.patch(f"/api-keys/{key}", {"name": "mine"}, bearer=by),
    "rotate": lambda live, key, by: live.api.post(f"/api-keys/{key}/rotate", {}, bearer=by),
    "revoke": lambda live, key, by: live.api.delete(f"/api-keys/{key}", bearer=by),
}


@pytest.mark.parametrize("name", ON_A_KEY)
async def test_key_of_somebody_else(live: Live, key: dict[str, Any], name: str) -> None:
    _, stranger = await live.people.newcomer()
    foreign = await ON_A_KEY[name](live, key["id"], stranger.token)
    unknown = await ON_A_KEY[name](live, UNKNOWN, stranger.token)
    refused(foreign, 404, "NOT_FOUND")
    assert foreign.text == unknown.text
    assert await is_accepted(live.api, key["key"])


# --- rights ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scope", ["api-keys:verify", "admin:all", "api-keys:read", "admin:users"])
async def test_reserved_scope_for_somebody_ordinary(live: Live, somebody: Person, scope: str) -> None:
    answer = await live.api.post("/api-keys", {"name": "k", "scopes": [scope]}, bearer=somebody[1].token)
    refused(answer, 403, "INSUFFICIENT_SCOPE")


@pytest.mark.parametrize(
    "scope",
    [
        "*",
        "orders",
        "orders:*",
        "*:read",
        ":read",
        "orders:",
        "orders:read\n",
        "orders :read",
        "API-KEYS:verify\x0b",
        "ordérs:read",
        "api-keys:verify,orders:read",
    ],
)
async def test_scope_in_a_wrong_form(live: Live, somebody: Person, scope: str) -> None:
    answer = await live.api.post("/api-keys", {"name": "k", "scopes": [scope]}, bearer=somebody[1].token)
    refused(answer, 400, "VALIDATION_ERROR")


async def test_widening_a_key(live: Live, owner: Person, key: dict[str, Any]) -> None:
    path = f"/api-keys/{key['id']}"
    for scopes in (["orders:read", "orders:write"], ["orders:write"], ["api-keys:verify"]):
        answer = await live.api.patch(path, {"scopes": scopes}, bearer=owner[1].token)
        refused(answer, 400, "VALIDATION_ERROR")
    accepted(await live.api.patch(path, {"scopes": []}, bearer=owner[1].token))
    refused(
        await live.api.patch(path, {"scopes": ["orders:read"]}, bearer=owner[1].token),
        400,
        "VALIDATION_ERROR",
    )


async def test_verifying_other_keys_without_the_right(live: Live, owner: Person, key: dict[str, Any]) -> None:
    for by in (key["key"], owner[1].token):
        answer = await live.api.post("/api-keys/verify", {"key": key["key"]}, bearer=by)
        refused(answer, 403, "INSUFFICIENT_SCOPE")
    refused(await live.api.post("/api-keys/verify", {"key": key["key"]}), 401, "UNAUTHORIZED")


async def test_verification_agrees_with_the_middleware(
    live: Live, root: Session, owner: Person, key: dict[str, Any]
) -> None:
    by = (await create_key(live.api, root, scopes=["api-keys:verify"]))["key"]

    async def verdict(**more: object) -> dict[str, Any]:
        body = {"key": key["key"], **more}
        reported: dict[str, Any] = accepted(await live.api.post("/api-keys/verify", body, bearer=by))
        return reported

    assert (await verdict(scopes=["orders:read"]))["valid"] is True
    assert (await verdict(scopes=["orders:write"]))["code"] == "INSUFFICIENT_SCOPE"
    assert (await verdict(organizationId=UNKNOWN))["valid"] is False
    assert (await verdict(key=owner[1].token))["code"] == "INVALID_API_KEY"
    accepted(await live.api.delete(f"/api-keys/{key['id']}", bearer=owner[1].token), 204)
    assert await verdict(scopes=["orders:read"]) == {"valid": False, "code": "INVALID_API_KEY"}


async def test_right_kept_after_a_demotion(live: Live) -> None:
    """A reserved scope is worth nothing on the key of somebody who is no administrator any more."""
    account, session = await live.admin()
    session = await live.people.enroll(account, session)
    key = (await create_key(live.api, session, scopes=["api-keys:verify", "orders:read"]))["key"]
    assert (await principal_of(live.api, key))["scopes"] == ["api-keys:verify", "orders:read"]
    path = f"/admin/users/{account.id}/actor-types"
    _, other = await administrator(live)
    accepted(await live.api.post(path, {"remove": ["admin"]}, bearer=other.token))
    assert (await principal_of(live.api, key))["scopes"] == ["orders:read"]
    refused(await live.api.post("/api-keys/verify", {"key": key}, bearer=key), 403, "INSUFFICIENT_SCOPE")


# --- organizations ---------------------------------------------------------------------------------------------------
async def test_key_for_an_organization_that_one_is_not_in(live: Live, owner: Person) -> None:
    _, stranger = await live.people.newcomer()
    organization = await create_organization(live.api, owner[1])
    answers = [
        await live.api.post("/api-keys", {"name": "k", "organizationId": each}, bearer=stranger.token)
        for each in (organization, UNKNOWN, "nonsense")
    ]
    for answer in answers:
        refused(answer, 403, "USER_NOT_MEMBER_OF_ORGANIZATION")
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_key_for_an_organization_without_the_right(live: Live, owner: Person, role: str) -> None:
    organization = await create_organization(live.api, owner[1])
    person = await live.people.newcomer()
    await join(live.api, owner[1], organization, person, role)
    answer = await live.api.post(
        "/api-keys", {"name": "k", "organizationId": organization}, bearer=person[1].token
    )
    refused(answer, 403, "INSUFFICIENT_API_KEY_PERMISSIONS")


async def test_scoped_key_in_another_organization(live: Live, owner: Person) -> None:
    here, there = (
        await create_organization(live.api, owner[1], "Here"),
        await create_organization(live.api, owner[1], "There"),
    )
    key = (await create_key(live.api, owner[1], organizationId=here))["key"]
    accepted(await live.api.get(f"/organizations/{here}", bearer=key))
    for path in ("", "/members"):
        answer = await live.api.get(f"/organizations/{there}{path}", bearer=key)
        refused(answer, 403, "ORGANIZATION_SCOPE_MISMATCH")
    listed = accepted(await live.api.get("/organizations", bearer=key))["organizations"]
    assert [each["id"] for each in listed] == [here]


async def test_scoped_key_in_another_organization_by_graphql(live: Live, owner: Person, graph: Graph) -> None:
    here, there = (
        await create_organization(live.api, owner[1], "Here"),
        await create_organization(live.api, owner[1], "There"),
    )
    key = (await create_key(live.api, owner[1], organizationId=here))["key"]
    data = (await graph("{ myOrganizations { id } }", key)).json()["data"]
    assert data == {"myOrganizations": [{"id": here}]}
    answer = await graph(f'{{ organization(id: "{there}") {{ id }} }}', key)
    assert there not in answer.text.replace(f'id: \\"{there}', "")
    entities = (
        f'{{ _entities(representations: [{{__typename: "Organization", id: "{there}"}}]) {{ __typename }} }}'
    )
    reported = (await graph(entities, key)).json()
    assert (reported.get("data") or {"_entities": [None]})["_entities"] == [None]


# --- what ends it ----------------------------------------------------------------------------------------------------
async def ended_by_ban(live: Live, root: Session, person: Person, _: str) -> None:
    body = {"reason": "stolen"}
    accepted(await live.api.post(f"/admin/users/{person[0].id}/ban", body, bearer=root.token))


async def ended_by_ban_and_unban(live: Live, root: Session, person: Person, organization: str) -> None:
    await ended_by_ban(live, root, person, organization)
    accepted(await live.api.post(f"/admin/users/{person[0].id}/unban", bearer=root.token))


async def ended_by_removal(live: Live, root: Session, person: Person, organization: str) -> None:
    path = f"/organizations/{organization}/members/{person[0].id}"
    accepted(await live.api.delete(path, {"confirm": True}, bearer=root.token), 204)


async def ended_by_readmission(live: Live, root: Session, person: Person, organization: str) -> None:
    await ended_by_removal(live, root, person, organization)
    await join(live.api, root, organization, person)


async def ended_by_leaving(live: Live, _: Session, person: Person, organization: str) -> None:
    path = f"/organizations/{organization}/members/{person[0].id}"
    accepted(await live.api.delete(path, {"confirm": True}, bearer=person[1].token), 204)


async def ended_by_deletion(live: Live, root: Session, _: Person, organization: str) -> None:
    accepted(await live.api.delete(f"/organizations/{organization}", bearer=root.token), 204)


ENDS = [
    ended_by_ban,
    ended_by_ban_and_unban,
    ended_by_removal,
    ended_by_readmission,
    ended_by_leaving,
    ended_by_deletion,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_scoped_key_afterwards(live: Live, root: Session, end: Any) -> None:
    """`root` owns the organization; a key that was just used is refused at the next request, in every process."""
    organization = await create_organization(live.api, root)
    person = await live.people.newcomer()
    await join(live.api, root, organization, person)
    key = (await create_key(live.api, person[1], organizationId=organization))["key"]
    for _ in range(6):
        assert await is_accepted(live.api, key)
    await end(live, root, person, organization)
    for _ in range(6):
        assert not await is_accepted(live.api, key)


KEY_ENDS: dict[str, Callable[[Live, str, str], Awaitable[Answer]]] = {
    "revoked": lambda live, key, by: live.api.delete(f"/api-keys/{key}", bearer=by),
    "switched off": lambda live, key, by: live.api.patch(f"/api-keys/{key}", {"enabled": False}, bearer=by),
    "rotated": lambda live, key, by: live.api.post(f"/api-keys/{key}/rotate", {}, bearer=by),
}


@pytest.mark.parametrize("name", KEY_ENDS)
async def test_key_afterwards(
    live: Live, owner: Person, key: dict[str, Any], name: str, graph: Graph
) -> None:
    for _ in range(6):
        assert await is_accepted(live.api, key["key"])
    assert (await KEY_ENDS[name](live, key["id"], owner[1].token)).is_success
    for _ in range(6):
        assert not await is_accepted(live.api, key["key"])
        refused(await graph(bearer=key["key"]), 401, "INVALID_API_KEY")


async def test_reviving_a_rotated_key(live: Live, owner: Person, key: dict[str, Any]) -> None:
    path = f"/api-keys/{key['id']}"
    accepted(await live.api.post(path + "/rotate", {}, bearer=owner[1].token), 201)
    for body in ({"enabled": True}, {"expiresAt": None}, {"expiresAt": "2030-01-01T00:00:00.000Z"}):
        assert (await live.api.patch(path, body, bearer=owner[1].token)).status_code in (400, 404)
    assert not await is_accepted(live.api, key["key"])
    again = await live.api.post(path + "/rotate", {}, bearer=owner[1].token)
    assert again.status_code in (404, 409)


async def test_prolonging_a_key_in_its_overlap(live: Live, owner: Person, key: dict[str, Any]) -> None:
    path = f"/api-keys/{key['id']}"
    accepted(await live.api.post(path + "/rotate", {"overlapSeconds": 3600}, bearer=owner[1].token), 201)
    for body in ({"expiresAt": None}, {"expiresAt": "2030-01-01T00:00:00.000Z"}):
        refused(await live.api.patch(path, body, bearer=owner[1].token), 400, "VALIDATION_ERROR")
    again = await live.api.post(path + "/rotate", {}, bearer=owner[1].token)
    refused(again, 409, "API_KEY_ALREADY_ROTATED")


@pytest.mark.parametrize("seconds", [-1, 86401, 10**12, -(10**12)])
async def test_overlap_out_of_bounds(live: Live, owner: Person, key: dict[str, Any], seconds: int) -> None:
    body = {"overlapSeconds": seconds}
    answer = await live.api.post(f"/api-keys/{key['id']}/rotate", body, bearer=owner[1].token)
    refused(answer, 400, "VALIDATION_ERROR")


async def test_reading_a_key_again(live: Live, owner: Person, key: dict[str, Any], graph: Graph) -> None:
    reported = [
        await live.api.get("/api-keys", bearer=owner[1].token),
        await live.api.get(f"/api-keys/{key['id']}", bearer=owner[1].token),
        await live.api.patch(f"/api-keys/{key['id']}", {"name": "x"}, bearer=owner[1].token),
        await graph("{ myApiKeys { id name prefix } }", owner[1].token),
    ]
    for answer in reported:
        assert key["key"] not in answer.text
        assert key["key"][8:] not in answer.text
    for field in ("key", "hash", "digest", "keyHash", "secret"):
        assert (await graph(f"{{ myApiKeys {{ {field} }} }}", owner[1].token)).status_code == 400


# --- fields that better-auth's route does not know --------------------------------------------------------------------
@pytest.mark.parametrize(
    "more",
    [
        {"expires_at": None},
        {"expires_at": "2999-01-01T00:00:00.000Z", "scopes": ["admin:all"]},
        {"expiresAt": None, "scopes": [], "allowedIps": None, "allowed_ips": None},
        {"rate_limit": None, "rate_limit_max": 1_000_000, "rate_limit_enabled": False},
        {"rotated_at": None, "revoked_at": None, "prefix": "czo_AAAA", "organization_id": UNKNOWN},
    ],
)
async def test_update_by_better_auths_route_changes_what_it_knows_only(
    live: Live, owner: Person, more: dict[str, Any]
) -> None:
    """S16: a field under the name that it has inside neither lengthens a life nor takes a limit or a scope away."""
    limits = {"allowedIps": ["203.0.113.7"], "rateLimitMax": 5, "rateLimitTimeWindow": 60_000}
    shown = await create_key(live.api, owner[1], scopes=["orders:read"], expiresIn=172_800, **limits)
    body = {"keyId": shown["id"], "name": "renamed", **more}
    accepted(await live.api.post("/api-key/update", body, bearer=owner[1].token))
    after = accepted(await live.api.get(f"/api-keys/{shown['id']}", bearer=owner[1].token))["apiKey"]
    moved = {"name": "renamed", "updatedAt": after["updatedAt"]}
    assert after == {name: value for name, value in shown.items() if name != "key"} | moved


async def test_update_with_unknown_fields_alone_is_no_update(
    live: Live, owner: Person, key: dict[str, Any], root: Session
) -> None:
    """S20, S29: what stands as the name of a field reaches no record."""
    body = {"keyId": key["id"], key["key"]: 1, "line\nforged": 1}
    refused(await live.api.post("/api-key/update", body, bearer=owner[1].token), 400, "NO_VALUES_TO_UPDATE")
    accepted(await live.api.post("/api-key/update", {**body, "name": "x"}, bearer=owner[1].token))
    audit = await live.api.get(
        f"/admin/audit?userId={owner[0].id}&action=auth.apikey.changed", bearer=root.token
    )
    assert accepted(audit)["total"] == 1
    assert key["key"][8:] not in audit.text
    assert "forged" not in audit.text
