"""Keys of service accounts, and every key that acts in an organization (docs/reference/rest.md)."""

from __future__ import annotations

from typing import Any

import pytest

from czo_auth.core.context import system_context
from tests.contract.acting import UNKNOWN, create_key, create_organization, graphql, is_accepted, principal_of
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.organizations import acme_of, mailed


# --- its keys --------------------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_key_acts_for_no_user_and_only_in_its_organization(timed: Timed) -> None:
    acme = await acme_of(timed)
    other = await create_organization(acme.api, acme.owner, "Other")
    made = await acme.create()
    key = await acme.key(made["id"])
    assert (key["userId"], key["serviceAccountId"], key["createdBy"]) == (None, made["id"], acme.boss.id)
    assert key["organizationId"] == acme.id
    principal = await principal_of(acme.api, key["key"])
    assert principal == {
        "kind": "api_key",
        "userId": None,
        "serviceAccountId": made["id"],
        "actorType": None,
        "organizationId": acme.id,
        "organizationRole": None,
        "aal": 1,
        "amr": [],
        "phishingResistant": False,
        "scopes": ["a:read"],
        "restrictedTo": None,
        "apiKeyId": key["id"],
    }
    listed = accepted(await acme.api.get("/organizations", bearer=key["key"]))
    assert [(each["id"], each["role"]) for each in listed["organizations"]] == [(acme.id, None)]
    assert accepted(await acme.api.get(acme.path, bearer=key["key"]))["organization"]["role"] is None
    members = accepted(await acme.api.get(f"{acme.path}/members", bearer=key["key"]))
    assert [(each["email"], each["user"]["email"]) for each in members["members"]] == [(None, None)] * 2
    elsewhere = await acme.api.get(f"/organizations/{other}", bearer=key["key"])
    refused(elsewhere, 404, "NOT_FOUND")
    for path in ("/api-keys", "/sessions", "/two-factor", f"{acme.path}/invitations"):
        refused(await acme.api.get(path, bearer=key["key"]), 403, "SESSION_REQUIRED")
    refused(await acme.api.get("/organization/get-active-member", bearer=key["key"]), 403, "USER_REQUIRED")


async def test_graphql_tells_a_service_account_that_it_is_nobody_as_a_field_error(
    timed_sqlite: Timed,
) -> None:
    acme = await acme_of(timed_sqlite)
    key = await acme.key((await acme.create())["id"])
    answer = await graphql(timed_sqlite, "{ myOrganizations { id role } me { id } }", key["key"])
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("USER_REQUIRED", ["me"])
    asked = f'{{ organization(id: "{acme.id}") {{ serviceAccounts {{ name }} }} }}'
    refusal = await graphql(timed_sqlite, asked, key["key"])
    assert refusal.json()["errors"][0]["extensions"]["code"] == "SESSION_REQUIRED"
    alone = await graphql(timed_sqlite, "{ myOrganizations { id role } }", key["key"])
    assert alone.json()["data"]["myOrganizations"] == [{"id": acme.id, "role": None}]


async def test_graphql_shows_owners_the_accounts_and_keys_of_one_organization(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    key = await acme.key(made["id"])
    fields = "{ serviceAccounts { id enabled } apiKeys { id createdBy owner { kind id name } } }"
    answer = await graphql(timed_sqlite, f'{{ organization(id: "{acme.id}") {fields} }}', acme.owner.token)
    owner = {"kind": "service_account", "id": made["id"], "name": "deploy"}
    assert answer.json()["data"]["organization"] == {
        "serviceAccounts": [{"id": made["id"], "enabled": True}],
        "apiKeys": [{"id": key["id"], "createdBy": acme.boss.id, "owner": owner}],
    }
    nested = await graphql(timed_sqlite, f"{{ myOrganizations {fields} }}", acme.owner.token)
    assert nested.status_code == 400
    assert nested.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"


@pytest.mark.each_database
async def test_keys_live_on_when_their_maker_leaves_is_banned_or_is_deleted(timed: Timed) -> None:
    acme = await acme_of(timed)
    made = await acme.create()
    key = await acme.key(made["id"], acme.admin)
    accepted(await acme.api.delete(acme.member, bearer=acme.owner.token), 204)
    assert await is_accepted(acme.api, key["key"])
    context = system_context(timed.clock())
    await timed.auth.administration.ban(acme.account.id, reason="Gone.", context=context)
    assert await is_accepted(acme.api, key["key"])
    await timed.auth.delete_user.delete(acme.account.id, reason="Gone.", context=context)
    assert await is_accepted(acme.api, key["key"])
    (listed,) = await acme.keys(f"?createdBy={acme.account.id}")
    assert listed["owner"] == {"kind": "service_account", "id": made["id"], "name": "deploy"}


@pytest.mark.each_database
async def test_disabled_account_and_deleted_organization_stop_keys_at_the_next_request(timed: Timed) -> None:
    acme = await acme_of(timed)
    made = await acme.create()
    key, path = await acme.key(made["id"]), f"{acme.accounts}/{made['id']}"
    assert await is_accepted(acme.api, key["key"])
    accepted(await acme.api.patch(path, {"enabled": False}, bearer=acme.owner.token))
    assert not await is_accepted(acme.api, key["key"])
    accepted(await acme.api.patch(path, {"enabled": True}, bearer=acme.owner.token))
    assert await is_accepted(acme.api, key["key"])
    accepted(await acme.api.delete(acme.path, bearer=acme.owner.token), 204)
    assert not await is_accepted(acme.api, key["key"])


async def test_last_use_of_an_account_is_that_of_its_keys(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    key = await acme.key(made["id"])
    await principal_of(acme.api, key["key"])
    await timed_sqlite.auth._housekeeping.flush_key_uses()
    path = f"{acme.accounts}/{made['id']}"
    shown = accepted(await acme.api.get(path, bearer=acme.owner.token))["serviceAccount"]
    assert shown["lastUsedAt"] is not None


# --- every key that acts there ---------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_organization_sees_every_key_that_acts_there_and_narrows_the_list(timed: Timed) -> None:
    acme = await acme_of(timed)
    made = await acme.create()
    theirs = await acme.key(made["id"], acme.admin)
    timed.time.advance(seconds=1)
    own = await create_key(acme.api, acme.owner, organizationId=acme.id)
    await create_key(acme.api, acme.owner)
    listed = await acme.keys()
    assert [each["id"] for each in listed] == [own["id"], theirs["id"]]
    assert [each["owner"]["kind"] for each in listed] == ["user", "service_account"]
    assert (listed[0]["userId"], listed[0]["createdBy"]) == (acme.boss.id, acme.boss.id)
    assert "key" not in listed[0]
    for query, expected in {
        f"?owner={acme.boss.id}": [own],
        f"?owner={made['id']}": [theirs],
        f"?createdBy={acme.account.id}": [theirs],
        "?owner=nobody": [],
        "?unusedSince=2020-01-01T00:00:00.000Z": [own, theirs],
    }.items():
        assert [each["id"] for each in await acme.keys(query)] == [each["id"] for each in expected], query
    page = accepted(await acme.api.get(f"{acme.path}/api-keys?limit=1", bearer=acme.owner.token))
    assert (page["total"], [each["id"] for each in page["apiKeys"]]) == (2, [own["id"]])
    rest = await acme.api.get(
        f"{acme.path}/api-keys?limit=1&cursor={page['nextCursor']}", bearer=acme.owner.token
    )
    assert [each["id"] for each in accepted(rest)["apiKeys"]] == [theirs["id"]]
    account = await acme.api.get(f"{acme.accounts}/{made['id']}/api-keys", bearer=acme.owner.token)
    assert [each["id"] for each in accepted(account)["apiKeys"]] == [theirs["id"]]
    unknown = await acme.api.get(f"{acme.path}/api-keys?mine=yes", bearer=acme.owner.token)
    refused(unknown, 400, "VALIDATION_ERROR")
    refused(await acme.api.get(f"{acme.path}/api-keys?mine=yes"), 401, "UNAUTHORIZED")


async def test_admin_revokes_an_owners_key_and_the_owner_is_mailed(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    own = await create_key(acme.api, acme.owner, organizationId=acme.id)
    free = await create_key(acme.api, acme.owner)
    path = f"{acme.path}/api-keys"
    accepted(await acme.api.delete(f"{path}/{own['id']}", bearer=acme.admin.token), 204)
    assert not await is_accepted(acme.api, own["key"])
    await mailed(timed_sqlite, "api_key_ended", acme.boss.email)
    for unknown in (own["id"], free["id"], UNKNOWN, "none"):
        refused(await acme.api.delete(f"{path}/{unknown}", bearer=acme.admin.token), 404, "NOT_FOUND")


@pytest.mark.each_database
async def test_service_accounts_key_is_rotated_and_a_members_is_not(timed: Timed) -> None:
    acme = await acme_of(timed)
    made = await acme.create()
    key = await acme.key(made["id"], acme.admin)
    own = await create_key(acme.api, acme.owner, organizationId=acme.id)
    path = f"{acme.path}/api-keys"
    refused(await acme.api.post(f"{path}/{own['id']}/rotate", {}, bearer=acme.owner.token), 403, "FORBIDDEN")
    body = {"overlapSeconds": 60}
    answer = await acme.api.post(f"{path}/{key['id']}/rotate", body, bearer=acme.owner.token)
    rotated = accepted(answer, 201)["apiKey"]
    assert (rotated["serviceAccountId"], rotated["createdBy"]) == (made["id"], acme.boss.id)
    assert rotated["scopes"] == key["scopes"]
    assert await is_accepted(acme.api, key["key"])
    timed.time.advance(seconds=61)
    assert not await is_accepted(acme.api, key["key"])
    assert await is_accepted(acme.api, rotated["key"])
    again = await acme.api.post(f"{path}/{key['id']}/rotate", {}, bearer=acme.owner.token)
    refused(again, 409, "API_KEY_ALREADY_ROTATED")


@pytest.mark.each_database
async def test_members_key_moves_to_a_service_account_and_the_old_one_works_for_the_overlap(
    timed: Timed,
) -> None:
    acme = await acme_of(timed)
    made = await acme.create()
    own = await create_key(acme.api, acme.admin, organizationId=acme.id, scopes=["a:read"])
    wide = await create_key(acme.api, acme.admin, organizationId=acme.id, scopes=["c:read"])
    body = {"serviceAccountId": made["id"], "overlapSeconds": 60}

    async def transfer(key: dict[str, Any], **how: Any) -> Answer:
        path = f"{acme.path}/api-keys/{key['id']}/transfer"
        return await acme.api.post(path, body, bearer=acme.owner.token, **how)

    refused(await transfer(wide), 403, "INSUFFICIENT_SCOPE")
    once = {"idempotency-key": "once"}
    moved = accepted(await transfer(own, headers=once), 201)["apiKey"]
    assert accepted(await transfer(own, headers=once), 201)["apiKey"] == moved
    refused(await transfer(own), 409, "API_KEY_ALREADY_ROTATED")
    refused(await transfer(moved), 403, "FORBIDDEN")
    assert (moved["userId"], moved["serviceAccountId"], moved["name"]) == (None, made["id"], own["name"])
    assert (await principal_of(acme.api, own["key"]))["userId"] == acme.account.id
    assert (await principal_of(acme.api, moved["key"]))["serviceAccountId"] == made["id"]
    timed.time.advance(seconds=61)
    assert not await is_accepted(acme.api, own["key"])
    accepted(await acme.api.delete(acme.member, {"confirm": True}, bearer=acme.owner.token), 204)
    assert await is_accepted(acme.api, moved["key"])


@pytest.mark.each_database
async def test_uses_of_a_key_are_shown_by_day_to_the_organization(timed: Timed) -> None:
    acme = await acme_of(timed)
    made = await acme.create()
    key = await acme.key(made["id"])
    await principal_of(acme.api, key["key"])
    await timed.auth._housekeeping.flush_key_uses()
    for path in (f"{acme.accounts}/{made['id']}/api-keys/{key['id']}", f"{acme.path}/api-keys/{key['id']}"):
        shown = accepted(await acme.api.get(f"{path}/usage", bearer=acme.admin.token))
        assert (shown["total"], shown["usage"][0]["used"]) == (1, 1)
    own = await create_key(acme.api, acme.admin, organizationId=acme.id)
    elsewhere = f"{acme.accounts}/{made['id']}/api-keys/{own['id']}/usage"
    refused(await acme.api.get(elsewhere, bearer=acme.owner.token), 404, "NOT_FOUND")


async def test_better_auths_calls_reach_an_organizations_keys_for_who_administers_it(
    timed_sqlite: Timed,
) -> None:
    acme = await acme_of(timed_sqlite)
    key = await acme.key((await acme.create())["id"])
    _, stranger = await timed_sqlite.people.newcomer()
    shown = accepted(await acme.api.get(f"/api-key/get?id={key['id']}", bearer=acme.owner.token))
    assert (shown["userId"], shown["referenceId"], shown["organizationId"]) == (None, acme.id, acme.id)
    query = f"/api-key/list?organizationId={acme.id}&sortBy=name"
    listed = accepted(await acme.api.get(query, bearer=acme.admin.token))
    assert ([each["id"] for each in listed["apiKeys"]], listed["total"]) == ([key["id"]], 1)
    assert accepted(await acme.api.get(query, bearer=stranger.token))["total"] == 0
    body = {"keyId": key["id"]}
    unseen = await acme.api.get(f"/api-key/get?id={key['id']}", bearer=stranger.token)
    refused(unseen, 404, "KEY_NOT_FOUND")
    refused(await acme.api.post("/api-key/delete", body, bearer=stranger.token), 404, "KEY_NOT_FOUND")
    accepted(await acme.api.post("/api-key/delete", body, bearer=acme.admin.token))
    assert not await is_accepted(acme.api, key["key"])
