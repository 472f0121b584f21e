"""Service accounts and their keys, which outlive people (docs/reference/rest.md; S38)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from czo_auth.core.context import system_context
from tests.contract.acting import create_key, is_accepted, principal_of
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.organizations import acme_of, mailed


# --- the accounts ----------------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_account_is_made_read_changed_and_deleted(timed: Timed) -> None:
    acme = await acme_of(timed)
    made = await acme.create(acme.admin, description="The pipeline.")
    assert made == {
        "id": made["id"],
        "organizationId": acme.id,
        "name": "deploy",
        "description": "The pipeline.",
        "scopes": ["a:read", "a:write"],
        "enabled": True,
        "createdBy": acme.account.id,
        "createdAt": made["createdAt"],
        "lastUsedAt": None,
    }
    path = f"{acme.accounts}/{made['id']}"
    assert accepted(await acme.api.get(path, bearer=acme.owner.token)) == {"serviceAccount": made}
    listed = accepted(await acme.api.get(acme.accounts, bearer=acme.owner.token))
    assert listed == {"serviceAccounts": [made], "total": 1, "nextCursor": None}
    changes = {"name": "release", "description": None, "scopes": ["a:read"]}
    changed = accepted(await acme.api.patch(path, changes, bearer=acme.owner.token))["serviceAccount"]
    assert changed == {**made, **changes}
    key = await acme.key(made["id"])
    accepted(await acme.api.delete(path, bearer=acme.admin.token), 204)
    assert not await is_accepted(acme.api, key["key"])
    refused(await acme.api.get(path, bearer=acme.owner.token), 404, "NOT_FOUND")
    assert await acme.keys() == []


async def test_members_keys_and_outsiders_cannot_manage_accounts(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    own = await create_key(acme.api, acme.owner, organizationId=acme.id, scopes=["a:read"])
    key = await acme.key(made["id"])
    for bearer in (own["key"], key["key"]):
        refused(await acme.api.get(acme.accounts, bearer=bearer), 403, "SESSION_REQUIRED")
    _, stranger = await timed_sqlite.people.newcomer()
    refused(await acme.ask(stranger), 404, "NOT_FOUND")
    accepted(await acme.api.patch(acme.member, {"role": "member"}, bearer=acme.owner.token))
    refused(await acme.ask(acme.admin), 403, "FORBIDDEN")
    refused(await acme.ask_key(made["id"], acme.admin), 403, "FORBIDDEN")
    for path in (acme.accounts, f"{acme.path}/api-keys"):
        refused(await acme.api.get(path, bearer=acme.admin.token), 403, "FORBIDDEN")


async def test_making_asks_for_recent_proof_and_takes_the_password_with_it(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    key = await acme.key(made["id"])
    timed_sqlite.time.advance(hours=1)
    rotate, path = f"{acme.path}/api-keys/{key['id']}/rotate", f"{acme.accounts}/{made['id']}"
    refused(await acme.ask(), 403, "REAUTHENTICATION_REQUIRED")
    refused(await acme.ask_key(made["id"]), 403, "REAUTHENTICATION_REQUIRED")
    refused(await acme.api.post(rotate, {}, bearer=acme.owner.token), 403, "REAUTHENTICATION_REQUIRED")
    wider = {"scopes": ["a:read", "a:write", "b:read"]}
    refused(await acme.api.patch(path, wider, bearer=acme.owner.token), 403, "REAUTHENTICATION_REQUIRED")
    accepted(await acme.api.patch(path, {"enabled": False}, bearer=acme.owner.token))
    accepted(await acme.api.patch(path, {"scopes": ["a:read"]}, bearer=acme.owner.token))
    refused(await acme.ask(password="not it at all"), 400, "INVALID_PASSWORD")
    await acme.create(password=acme.boss.password)
    proved = {**wider, "password": acme.boss.password}
    accepted(await acme.api.patch(path, proved, bearer=acme.owner.token))


async def test_more_than_a_hundred_accounts_are_refused(
    timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("czo_auth.core.flows.service_accounts.manage.MAX_SERVICE_ACCOUNTS", 2)
    monkeypatch.setattr("czo_auth.core.flows.service_accounts.keys.MAX_SERVICE_ACCOUNT_KEYS", 2)
    acme = await acme_of(timed_sqlite)
    made = [await acme.create() for _ in range(2)]
    refused(await acme.ask(), 409, "SERVICE_ACCOUNT_LIMIT_REACHED")
    for _ in range(2):
        await acme.key(made[0]["id"])
    refused(await acme.ask_key(made[0]["id"]), 409, "API_KEY_LIMIT_REACHED")
    await acme.key(made[1]["id"])
    accepted(await acme.api.delete(f"{acme.accounts}/{made[0]['id']}", bearer=acme.owner.token), 204)
    await acme.create()


# --- scopes ----------------------------------------------------------------------------------------------------------
async def test_nobody_gives_more_than_they_hold_and_a_key_no_more_than_its_account(deploy: Deploy) -> None:
    rule = {"customer": ["a:read", "a:write"], "merchant": ["b:read"]}
    timed = await deploy(scope_rule=rule)
    acme = await acme_of(timed)
    body = refused(await acme.ask(scopes=["a:read", "b:read"]), 403, "INSUFFICIENT_SCOPE")
    assert [detail["loc"] for detail in body["details"]] == [["scopes", "b:read"]]
    refused(await acme.ask(scopes=["api-keys:verify"]), 403, "INSUFFICIENT_SCOPE")
    made = await acme.create(scopes=["a:read"])
    answer = await acme.ask_key(made["id"], scopes=["a:read", "a:write"])
    refused(answer, 403, "INSUFFICIENT_SCOPE")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="a:write"'
    path = f"{acme.accounts}/{made['id']}"
    wider = await acme.api.patch(path, {"scopes": ["a:read", "b:read"]}, bearer=acme.owner.token)
    refused(wider, 403, "INSUFFICIENT_SCOPE")
    accepted(await acme.api.patch(path, {"scopes": ["a:read", "a:write"]}, bearer=acme.owner.token))
    key = await acme.key(made["id"], scopes=["a:read", "a:write"])
    assert (await principal_of(acme.api, key["key"]))["scopes"] == ["a:read", "a:write"]
    accepted(await acme.api.patch(path, {"scopes": ["a:write"]}, bearer=acme.owner.token))
    assert (await principal_of(acme.api, key["key"]))["scopes"] == ["a:write"]


# --- removing people -------------------------------------------------------------------------------------------------
async def test_removing_a_member_with_keys_asks_for_confirmation_and_names_them(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    key = await create_key(acme.api, acme.admin, organizationId=acme.id, name="nightly")
    body = refused(await acme.api.delete(acme.member, bearer=acme.owner.token), 409, "MEMBER_HAS_API_KEYS")
    assert body["details"] == [{"loc": ["apiKeys", key["id"]], "msg": "nightly"}]
    assert await is_accepted(acme.api, key["key"])
    answer = await acme.api.delete(acme.member, {"confirm": False}, bearer=acme.owner.token)
    refused(answer, 409, "MEMBER_HAS_API_KEYS")
    accepted(await acme.api.delete(acme.member, {"confirm": True}, bearer=acme.owner.token), 204)
    assert not await is_accepted(acme.api, key["key"])


async def test_export_of_an_account_says_which_keys_of_service_accounts_it_made(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    key = await acme.key((await acme.create())["id"], acme.admin)
    exported = (await acme.api.get("/user/export", bearer=acme.admin.token)).json()
    assert [each["id"] for each in exported["madeServiceAccountKeys"]] == [key["id"]]
    assert exported["apiKeys"] == []


@pytest.mark.parametrize("way", ["removed", "demoted", "banned", "deleted"])
async def test_owners_are_notified_which_keys_somebody_made_who_goes(timed_sqlite: Timed, way: str) -> None:
    acme = await acme_of(timed_sqlite)
    key = await acme.key((await acme.create())["id"], acme.admin, name="nightly build")
    context = system_context(timed_sqlite.clock())
    if way == "removed":
        accepted(await acme.api.delete(acme.member, bearer=acme.owner.token), 204)
    elif way == "demoted":
        accepted(await acme.api.patch(acme.member, {"role": "viewer"}, bearer=acme.owner.token))
    elif way == "banned":
        await timed_sqlite.auth.administration.ban(acme.account.id, reason="Gone.", context=context)
    else:
        await timed_sqlite.auth.delete_user.delete(acme.account.id, reason=None, context=context)
    message = await mailed(timed_sqlite, "api_keys_made_by", acme.boss.email)
    assert "nightly build" in message.text
    assert f"/organizations/{acme.id}/api-keys?createdBy={acme.account.id}" in message.text
    assert await is_accepted(acme.api, key["key"])


async def test_leak_of_a_service_accounts_key_is_mailed_to_every_owner(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    accepted(await acme.api.patch(acme.member, {"role": "owner"}, bearer=acme.owner.token))
    key = await acme.key((await acme.create())["id"])
    accepted(await acme.api.post("/api-keys/report-leak", {"key": key["key"]}))
    assert not await is_accepted(acme.api, key["key"])
    for owner in (acme.boss, acme.account):
        await mailed(timed_sqlite, "api_key_leaked", owner.email)


# --- organizations that demand two factors ---------------------------------------------------------------------------
async def test_rule_binds_makers_from_the_moment_it_is_set_and_no_key(timed_sqlite: Timed) -> None:
    acme = await acme_of(timed_sqlite)
    made = await acme.create()
    key = await acme.key(made["id"])
    acme.owner = await timed_sqlite.people.enroll(acme.boss, acme.owner)
    later = (timed_sqlite.clock() + timedelta(days=30)).isoformat(timespec="milliseconds")
    rule = {"requireTwoFactorFrom": later.replace("+00:00", "Z")}
    accepted(await acme.api.patch(acme.path, rule, bearer=acme.owner.token))
    path, rotate = f"{acme.accounts}/{made['id']}", f"{acme.path}/api-keys/{key['id']}/rotate"
    wider = {"scopes": ["a:read", "a:write", "b:read"]}
    for answer in (
        await acme.ask(acme.admin),
        await acme.ask_key(made["id"], acme.admin),
        await acme.api.post(rotate, {}, bearer=acme.admin.token),
        await acme.api.patch(path, wider, bearer=acme.admin.token),
    ):
        refused(answer, 403, "ORGANIZATION_TWO_FACTOR_REQUIRED")
    accepted(await acme.api.patch(path, {"enabled": True}, bearer=acme.admin.token))
    await acme.create(acme.owner)
    timed_sqlite.time.advance(days=31)
    assert await is_accepted(acme.api, key["key"])
    report = await acme.api.get(
        f"{acme.path}/two-factor-report",
        bearer=(await timed_sqlite.people.sign_in(acme.boss)).token,
    )
    assert accepted(report)["apiKeys"] == {"total": 1, "wouldBeRefused": 0}
