"""What administrators do to accounts and organizations, and what an export holds (contract-2 section 12)."""

from __future__ import annotations

import json

import pytest

from czo_auth.core.flows.accounts import export
from tests.contract.acting import UNKNOWN, create_key, create_organization, join
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session

NEW = "a wholly different passphrase"


async def admin_of(here: Timed) -> Session:
    return await here.people.sign_in(here.ada, "admin")


async def test_user_that_was_created_sets_the_password_by_mail(timed: Timed) -> None:
    admin = await admin_of(timed)
    body = {"email": "Made@example.com", "name": "Made", "actorTypes": ["merchant"]}
    user = accepted(await timed.api.post("/admin/users", body, bearer=admin.token), 201)["user"]
    assert (user["email"], user["emailVerified"]) == ("made@example.com", False)
    assert user["actorTypes"] == ["customer", "merchant"]
    token = await timed.mail.token("Made@example.com", "account_created")
    accepted(await timed.api.post("/reset-password", {"token": token, "newPassword": NEW}))
    session = await timed.people.sign_in(Account(email="made@example.com", password=NEW))
    assert session.body["user"]["emailVerified"] is True
    again = await timed.api.post("/admin/users", body, bearer=admin.token)
    refused(again, 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")
    unknown = await timed.api.post("/admin/users", {**body, "actorTypes": ["emperor"]}, bearer=admin.token)
    refused(unknown, 404, "UNKNOWN_ACTOR_TYPE")


async def test_acts_that_need_recent_proof_refuse_an_old_one_and_take_one_in_the_body(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    admin = await admin_of(timed)
    timed.time.advance(minutes=11)
    acts = (
        ("POST", "/admin/users", {"email": "x@example.com", "name": "x"}),
        ("DELETE", f"/admin/users/{account.id}", {"reason": "x"}),
        ("POST", f"/admin/users/{account.id}/actor-types", {"add": ["merchant"]}),
        ("DELETE", f"/admin/users/{account.id}/two-factor", {"reason": "x"}),
        ("POST", f"/admin/organizations/{organization}/owner", {"userId": account.id, "reason": "x"}),
    )
    for method, path, body in acts:
        refused(
            await timed.api.call(method, path, body, bearer=admin.token), 403, "REAUTHENTICATION_REQUIRED"
        )
    export = await timed.api.get(f"/admin/users/{account.id}/export", bearer=admin.token)
    refused(export, 403, "REAUTHENTICATION_REQUIRED")
    proof = {"password": timed.ada.password, "code": timed.ada.has.code()}
    path = f"/admin/users/{account.id}/actor-types"
    accepted(await timed.api.post(path, {"add": ["merchant"], **proof}, bearer=admin.token))
    # Emergencies need none.
    ended = await timed.api.call("DELETE", f"/admin/users/{account.id}/sessions", bearer=admin.token)
    accepted(ended, 204)
    accepted(await timed.api.post(f"/admin/users/{account.id}/ban", {"reason": "x"}, bearer=admin.token))


async def test_sessions_are_listed_and_ended(timed: Timed) -> None:
    account, first = await timed.people.newcomer()
    timed.clock.advance(seconds=1)  # the newest comes first, and two of one millisecond would have no order
    second = await timed.people.sign_in(account)
    admin = await admin_of(timed)
    listed = accepted(await timed.api.get(f"/admin/users/{account.id}/sessions", bearer=admin.token))
    assert [one["id"] for one in listed["sessions"]] == [second.id, first.id]
    assert listed["total"] == 2
    ended = await timed.api.call("DELETE", f"/admin/sessions/{first.id}", bearer=admin.token)
    accepted(ended, 204)
    again = await timed.api.call("DELETE", f"/admin/sessions/{first.id}", bearer=admin.token)
    refused(again, 404, "NOT_FOUND")
    assert not await timed.people.is_alive(first)
    assert await timed.people.is_alive(second)
    for path in (f"/admin/users/{UNKNOWN}/sessions", "/admin/users/none/sessions"):
        refused(await timed.api.get(path, bearer=admin.token), 404, "NOT_FOUND")


async def test_organization_is_handed_over_only_when_no_owner_can_act(timed: Timed) -> None:
    owner, owner_session = await timed.people.newcomer()
    member, member_session = await timed.people.newcomer()
    stranger, _ = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner_session, "Left behind")
    await join(timed.api, owner_session, organization, (member, member_session), "viewer")
    admin = await admin_of(timed)
    path = f"/admin/organizations/{organization}/owner"
    body = {"userId": member.id, "reason": "the owner left"}
    refused(await timed.api.post(path, body, bearer=admin.token), 409, "OWNER_EXISTS")
    accepted(await timed.api.post(f"/admin/users/{owner.id}/ban", {"reason": "x"}, bearer=admin.token))
    other = {**body, "userId": stranger.id}
    refused(await timed.api.post(path, other, bearer=admin.token), 404, "NOT_FOUND")
    nowhere = f"/admin/organizations/{UNKNOWN}/owner"
    refused(await timed.api.post(nowhere, body, bearer=admin.token), 404, "NOT_FOUND")
    made = accepted(await timed.api.post(path, body, bearer=admin.token))["member"]
    assert (made["userId"], made["role"]) == (member.id, "owner")
    audit = accepted(await timed.api.get("/admin/audit?action=auth.org.handed_over", bearer=admin.token))
    assert audit["audit"][0]["details"]["reason"] == "the owner left"
    found_ones = accepted(await timed.api.get("/admin/organizations?search=behind", bearer=admin.token))
    assert [one["id"] for one in found_ones["organizations"]] == [organization]
    assert found_ones["total"] == 1
    await timed.mail.token(member.email, "invitation")


async def test_export_holds_everything_of_the_person_and_nothing_of_others(deploy: Deploy) -> None:
    here = await deploy(trusted_proxies="127.0.0.1")
    other, other_session = await here.people.newcomer()
    account, session = await here.people.newcomer()
    organization = await create_organization(here.api, session, "Workshop")
    await join(here.api, session, organization, (other, other_session))
    key = await create_key(here.api, session, name="laptop")
    admin = await admin_of(here)
    path, headers = f"/admin/users/{account.id}/actor-types", {"x-forwarded-for": "198.51.100.9"}
    accepted(await here.api.post(path, {"add": ["merchant"]}, bearer=admin.token, headers=headers))
    answer = await here.api.get("/user/export", bearer=session.token)
    assert answer.headers["content-disposition"].startswith("attachment")
    document = accepted(answer)
    assert document["user"]["email"] == account.email
    assert [one["name"] for one in document["organizations"]] == ["Workshop"]
    assert [one["name"] for one in document["apiKeys"]] == ["laptop"]
    assert session.id in [one["id"] for one in document["sessions"]]
    assert "auth.role.changed" in [one["action"] for one in document["audit"]]
    for secret in (
        *(key["key"], session.token, session.refresh_token, account.password),
        *(other.email, other.id, here.ada.id, "198.51.100.9"),
    ):
        assert secret not in answer.text
    assert "digest" not in answer.text
    assert "hash" not in json.dumps(document).lower()


async def test_export_by_an_administrator_is_the_same_and_the_person_is_mailed(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    admin = await admin_of(timed)
    document = accepted(await timed.api.get(f"/admin/users/{account.id}/export", bearer=admin.token))
    own = accepted(await timed.api.get("/user/export", bearer=session.token))
    assert {*document} == {*own}
    await timed.mail.token(account.email, "account_exported")
    refused(await timed.api.get(f"/admin/users/{UNKNOWN}/export", bearer=admin.token), 404, "NOT_FOUND")


async def test_export_needs_recent_proof_and_a_session(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    refused(await timed.api.get("/user/export", bearer=key["key"]), 403, "SESSION_REQUIRED")
    timed.time.advance(minutes=11)
    refused(await timed.api.get("/user/export", bearer=session.token), 403, "REAUTHENTICATION_REQUIRED")


async def test_export_of_many_records_is_complete(timed: Timed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BATCH", 7)
    _, session = await timed.people.newcomer()
    for _ in range(30):
        await create_key(timed.api, session)
    document = accepted(await timed.api.get("/user/export", bearer=session.token))
    assert len(document["apiKeys"]) == 30
    assert [one["action"] for one in document["audit"]].count("auth.apikey.created") == 30
