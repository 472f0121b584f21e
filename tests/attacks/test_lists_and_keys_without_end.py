"""
Keys that ended must not weigh forever, and no list or document may ask for all rows at once.

Rows are filled in past the product, as a loop of `POST /api-keys {expiresIn: 1}` would in months.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from czo_auth.core.context import system_context
from tests.contract.acting import create_key, create_organization, graphql
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.database_work import counted_work
from tests.contract.deployments import Timed
from tests.contract.people import Session
from tests.contract.rows import add_keys

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def url_of(timed: Timed) -> str:
    return timed.runtime.settings.storage_url


async def count_keys(timed: Timed, user_id: str) -> int:
    ((number,),) = await sql(url_of(timed), "SELECT count(*) FROM {}api_keys WHERE user_id = $1", user_id)
    return int(number)


async def admin_session(timed: Timed) -> Session:
    return await timed.people.sign_in(timed.ada, "admin")


# --- keys that ended -------------------------------------------------------------------------------------------------
Create = Callable[[Timed, Session], Awaitable[Any]]


async def native(timed: Timed, session: Session) -> Any:
    return await timed.api.post("/api-keys", {"name": "k", "expiresIn": 1}, bearer=session.token)


async def of_the_client(timed: Timed, session: Session) -> Any:
    return await timed.api.post("/api-key/create", {"name": "k", "expiresIn": 86400}, bearer=session.token)


@pytest.mark.parametrize("create", [native, of_the_client])
async def test_keys_of_a_day_are_bounded_whatever_became_of_them(deploy: Deploy, create: Create) -> None:
    timed = await deploy(api_key_daily_limit=4, api_key_limit=50)
    account, session = await timed.people.newcomer()
    for _ in range(4):
        answer = await create(timed, session)
        assert answer.status_code in (200, 201), answer.text
        timed.time.advance(seconds=2)
    answer = refused(await create(timed, session), 429, "TOO_MANY_REQUESTS")
    assert 0 < answer["retryAfter"] <= 86_400
    assert await count_keys(timed, account.id) == 4
    _, neighbor = await timed.people.newcomer()
    assert (await create(timed, neighbor)).status_code in (200, 201)
    timed.time.advance(days=1)
    assert (await create(timed, await timed.people.sign_in(account))).status_code in (200, 201)


async def test_rotating_counts_and_revoking_gives_nothing_back(deploy: Deploy) -> None:
    timed = await deploy(api_key_daily_limit=3)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for _ in range(2):
        answer = await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token)
        key = accepted(answer, 201)["apiKey"]
    refused(
        await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token),
        429,
        "TOO_MANY_REQUESTS",
    )
    accepted(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    refused(await native(timed, session), 429, "TOO_MANY_REQUESTS")


async def test_refused_creation_is_not_counted(deploy: Deploy) -> None:
    timed = await deploy(api_key_daily_limit=2)
    _, session = await timed.people.newcomer()
    for _ in range(5):
        answer = await timed.api.post(
            "/api-keys", {"name": "k", "scopes": ["admin:all"]}, bearer=session.token
        )
        refused(answer, 403, "INSUFFICIENT_SCOPE")
    for _ in range(2):
        accepted(await native(timed, session), 201)


async def test_rotated_keys_that_live_on_are_bounded(deploy: Deploy) -> None:
    timed = await deploy(api_key_limit=3)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for _ in range(3):
        path = f"/api-keys/{key['id']}/rotate"
        key = accepted(await timed.api.post(path, {"overlapSeconds": 86400}, bearer=session.token), 201)[
            "apiKey"
        ]
    path = f"/api-keys/{key['id']}/rotate"
    refused(
        await timed.api.post(path, {"overlapSeconds": 1}, bearer=session.token), 409, "API_KEY_LIMIT_REACHED"
    )
    accepted(await timed.api.post(path, {}, bearer=session.token), 201)
    timed.time.advance(days=1)
    key = await create_key(timed.api, session)
    path = f"/api-keys/{key['id']}/rotate"
    accepted(await timed.api.post(path, {"overlapSeconds": 86400}, bearer=session.token), 201)


async def test_expired_keys_are_deleted_after_thirty_days_in_batches(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    now = timed.clock()
    await add_keys(url_of(timed), account.id, 2500, created_at=now - 32 * DAY, lives=SECOND)
    await add_keys(url_of(timed), account.id, 7, created_at=now - 29 * DAY, lives=SECOND)
    await add_keys(url_of(timed), account.id, 3, created_at=now - 400 * DAY)
    await timed.runtime._housekeeping.tidy()
    assert await count_keys(timed, account.id) == 10
    listed = accepted(await timed.api.get("/api-keys?limit=500", bearer=session.token))
    assert (listed["total"], len(listed["apiKeys"])) == (10, 10)


async def test_ban_neither_reads_nor_writes_dead_keys(timed: Timed) -> None:
    account, _ = await timed.people.newcomer()
    now = timed.clock()
    await add_keys(url_of(timed), account.id, 2000, created_at=now - 2 * DAY, lives=SECOND)
    await add_keys(url_of(timed), account.id, 40, created_at=now - DAY)
    await add_keys(url_of(timed), account.id, 60, created_at=now - DAY, lives=30 * DAY)
    await timed.runtime.administration.ban(account.id, reason="abuse", context=system_context(now))
    rows = await sql(
        url_of(timed),
        "SELECT revoked_at IS NOT NULL, count(*) FROM {}api_keys WHERE user_id = $1 GROUP BY 1 ORDER BY 1",
        account.id,
    )
    assert [(bool(revoked), number) for revoked, number in rows] == [(False, 2000), (True, 100)]
    ((recorded,),) = await sql(
        url_of(timed),
        "SELECT count(*) FROM {}audit WHERE action = 'auth.apikey.revoked' AND user_id = $1",
        account.id,
    )
    assert recorded == 100
    await timed.runtime.administration.unban(account.id, context=system_context(now))
    session = await timed.people.sign_in(account)
    listed = accepted(await timed.api.get("/api-keys", bearer=session.token))
    assert listed["total"] == 2000, "what was dead stays listed until it is deleted, and nothing came back"


async def test_organization_with_many_keys_is_deleted_with_them(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    now = timed.clock()
    keys = {"created_at": now - DAY, "organization_id": organization}
    await add_keys(url_of(timed), account.id, 1500, lives=30 * DAY, **keys)
    await add_keys(url_of(timed), account.id, 1500, lives=SECOND, **keys)
    accepted(await timed.api.delete(f"/organizations/{organization}", bearer=session.token), 204)
    ((revoked,),) = await sql(
        url_of(timed),
        "SELECT count(*) FROM {}api_keys WHERE revoked_at IS NOT NULL AND user_id = $1",
        account.id,
    )
    assert revoked == 1500


@pytest.mark.deep
async def test_ban_costs_the_same_with_a_hundred_thousand_dead_keys(timed: Timed) -> None:
    """Beside few keys somebody else has as many dead ones, so that the table is as large both times."""
    now = timed.clock()
    spent = {}
    for kind in ("few", "many"):
        account, other = await timed.people.sign_up(), await timed.people.sign_up()
        dead = account if kind == "many" else other
        await add_keys(url_of(timed), dead.id, 100_000, created_at=now - 2 * DAY, lives=SECOND)
        await add_keys(url_of(timed), account.id, 100, created_at=now - DAY, lives=30 * DAY)
        with counted_work() as work:
            await timed.runtime.administration.ban(account.id, reason="abuse", context=system_context(now))
        spent[kind] = work
    few, many = spent["few"], spent["many"]
    assert 100 <= few.amount < 100_000, "the live keys at least, and not the dead ones of somebody else"
    # PostgreSQL counts a live key once more or less, by whether autovacuum came in between.
    assert many.amount <= 1.2 * few.amount + 100, spent


# --- lists -----------------------------------------------------------------------------------------------------------
async def walk(timed: Timed, path: str, name: str, session: Session, *, limit: int) -> list[dict[str, Any]]:
    """Read a whole list page by page; every page tells the whole count."""
    rows: list[dict[str, Any]] = []
    totals = set()
    cursor = ""
    while True:
        mark = "&" if "?" in path else "?"
        page = accepted(await timed.api.get(f"{path}{mark}limit={limit}{cursor}", bearer=session.token))
        assert len(page[name]) <= limit
        rows += page[name]
        totals.add(page["total"])
        if page["nextCursor"] is None:
            assert totals == {len(rows)}
            return rows
        assert len(page[name]) == limit
        cursor = f"&cursor={page['nextCursor']}"


async def test_every_list_is_paged(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    root = await admin_session(timed)
    organizations = [await create_organization(timed.api, session, f"Acme {number}") for number in range(5)]
    first = organizations[0]
    now = timed.clock()
    await add_keys(url_of(timed), account.id, 130, created_at=now - DAY, lives=SECOND)
    await add_keys(url_of(timed), account.id, 120, created_at=now - DAY, organization_id=first)
    for number in range(5):
        body = {"email": f"guest-{number}@example.com", "role": "viewer"}
        path = f"/organizations/{first}/invitations"
        accepted(await timed.api.post(path, body, bearer=session.token), 201)

    mine = await walk(timed, "/api-keys", "apiKeys", session, limit=77)
    assert len({key["id"] for key in mine}) == 250
    assert [key["createdAt"] for key in mine] == sorted((key["createdAt"] for key in mine), reverse=True)
    bound = await walk(timed, f"/api-keys?organizationId={first}", "apiKeys", session, limit=50)
    assert len(bound) == 120
    whose = f"/admin/users/{account.id}/api-keys"
    assert len(await walk(timed, whose, "apiKeys", root, limit=99)) == 250
    assert len(await walk(timed, f"{whose}?organizationId={first}", "apiKeys", root, limit=500)) == 120
    everybodys = await walk(timed, f"/admin/api-keys?organizationId={first}", "apiKeys", root, limit=50)
    assert {key["organizationId"] for key in everybodys} == {first}
    assert len(everybodys) == 120
    found_ids = [
        each["id"] for each in await walk(timed, "/organizations", "organizations", session, limit=2)
    ]
    assert sorted(found_ids) == sorted(organizations)
    assert len(await walk(timed, f"/organizations/{first}/invitations", "invitations", session, limit=2)) == 5
    assert len(await walk(timed, f"/organizations/{first}/members", "members", session, limit=1)) == 1
    assert len(await walk(timed, "/admin/users", "users", root, limit=2)) >= 5
    for _ in range(4):
        await timed.people.sign_in(account)
    assert len(await walk(timed, f"/admin/users/{account.id}/sessions", "sessions", root, limit=2)) == 5

    default = accepted(await timed.api.get("/api-keys", bearer=session.token))
    assert (len(default["apiKeys"]), default["total"]) == (100, 250)


PAGED = [
    ("/api-keys", "customer"),
    ("/organizations", "customer"),
    ("/two-factor/trusted-devices", "customer"),
    ("/organizations/{organization}/members", "customer"),
    ("/organizations/{organization}/invitations", "customer"),
    ("/admin/users", "admin"),
    ("/admin/api-keys", "admin"),
    ("/admin/users/{user}/api-keys", "admin"),
    ("/admin/users/{user}/sessions", "admin"),
    ("/admin/two-factor-resets", "admin"),
    ("/admin/audit", "admin"),
]


@pytest.mark.parametrize(("path", "who"), PAGED, ids=[path for path, _ in PAGED])
async def test_bounds_of_a_page_and_unknown_parameters_are_refused(timed: Timed, path: str, who: str) -> None:
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    path = path.format(organization=organization, user=account.id)
    by = session if who == "customer" else await admin_session(timed)
    for good in ("limit=1", "limit=500"):
        accepted(await timed.api.get(f"{path}?{good}", bearer=by.token))
    for wrong in (
        *("limit=0", "limit=501", "limit=-1", "limit=x", "limit=1e2", "limit="),
        *("cursor=x", "cursor=-1", "cursor=1.2", "cursor=%F0%9F%98%80", "cursor=9" * 30),
        *("organisationId=x", "Limit=1", "offset=3", "userid=1", "limit=1&page=2", "=", "%00=1"),
    ):
        refused(await timed.api.get(f"{path}?{wrong}", bearer=by.token), 400, "VALIDATION_ERROR")
    answer = await timed.api.get(f"{path}?organisationId=x")
    refused(answer, 401, "UNAUTHORIZED")


async def test_unknown_parameters_are_refused_on_every_native_route(timed: Timed) -> None:
    """After authentication; better-auth's routes ignore them, as its client adds some."""
    _, session = await timed.people.newcomer()
    how: dict[str, Any] = {"bearer": session.token}
    for method, path, body in (
        ("GET", "/session", None),
        ("GET", "/whoami", None),
        ("GET", "/two-factor", None),
        ("POST", "/api-keys", {"name": "k"}),
        ("POST", "/organizations", {"name": "Acme"}),
        ("DELETE", f"/api-keys/{uuid4()}", None),
    ):
        more = () if body is None else (body,)
        answer = await timed.api.call(method, f"{path}?organizationld=1", *more, **how)
        details = refused(answer, 400, "VALIDATION_ERROR")["details"]
        assert details == [{"loc": "organizationld", "msg": "This parameter is not known."}]
        refused(await timed.api.call(method, f"{path}?organizationld=1", *more), 401, "UNAUTHORIZED")
    answer = await timed.api.get("/sessions?limit=1&limit=2", **how)
    details = refused(answer, 400, "VALIDATION_ERROR")["details"]
    assert details == [{"loc": "limit", "msg": "This parameter may be given once."}]
    known = (
        ("/organization/get-organization", "organizationId"),
        ("/organization/list-members", "limit"),
        ("/api-key/get", "id"),
        ("/verify-email", "token"),
    )
    for path, name in known:
        details = refused(await timed.api.get(f"{path}?{name}=1&{name}=2", **how), 400, "VALIDATION_ERROR")[
            "details"
        ]
        assert details == [{"loc": name, "msg": "This parameter may be given once."}]
    for path in ("/get-session", "/list-sessions", "/organization/list", "/api-key/list"):
        accepted(await timed.api.get(f"{path}?disableCookieCache=1&x=2&x=3", **how))


async def test_arrays_of_the_client_hold_the_newest_hundred(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    now = timed.clock()
    await add_keys(url_of(timed), account.id, 620, created_at=now - DAY)
    listed = accepted(await timed.api.get("/api-key/list", bearer=session.token))
    assert (len(listed["apiKeys"]), listed["total"]) == (100, 620)
    assert [key["name"] for key in listed["apiKeys"][:2]] == ["key 620", "key 619"]
    largest = accepted(await timed.api.get("/api-key/list?limit=1000", bearer=session.token))
    assert len(largest["apiKeys"]) == 500
    sorted_ = accepted(
        await timed.api.get(
            "/api-key/list?limit=2&offset=1&sortBy=name&sortDirection=asc", bearer=session.token
        )
    )
    assert [key["name"] for key in sorted_["apiKeys"]] == ["key 10", "key 100"]


# --- GraphQL ---------------------------------------------------------------------------------------------------------
async def ask(timed: Timed, session: Session, query: str) -> Any:
    return await graphql(timed, query, session.token)


def aliased(field: str, times: int) -> str:
    return "{ " + " ".join(f"a{number}: {field}" for number in range(times)) + " }"


@pytest.mark.parametrize(
    "document",
    [
        aliased("myApiKeys { id }", 11),
        aliased("mySessions { id }", 20),
        aliased("myOrganizations { id }", 15),
        "query { ...f ...g } fragment f on Query { " + " ".join(["myApiKeys { id }"] * 6) + " }"
        " fragment g on Query { " + " ".join(["myOrganizations { id }"] * 6) + " }",
        aliased("_entities(representations: []) { __typename }", 11),
    ],
    ids=["aliases", "sessions", "organizations", "fragments", "entities"],
)
async def test_document_that_asks_for_many_lists_is_refused(timed: Timed, document: str) -> None:
    _, session = await timed.people.newcomer()
    answer = await ask(timed, session, document)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"


async def test_lists_of_graphql_hold_the_newest_hundred(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    await add_keys(url_of(timed), account.id, 400, created_at=timed.clock() - DAY)
    data = (await ask(timed, session, aliased("myApiKeys { name }", 10))).json()["data"]
    assert len(data) == 10
    for keys in data.values():
        assert [key["name"] for key in keys] == [f"key {number}" for number in range(400, 300, -1)]
