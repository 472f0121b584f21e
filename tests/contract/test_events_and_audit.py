"""Events and the audit log (docs/reference/events.md; S20, S34, S35)."""

from __future__ import annotations

from collections import Counter

import pytest

from czo_auth import Auth
from tests.contract.acting import (
    UNKNOWN,
    create_key,
    create_organization,
    join,
    listed_keys,
)
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import is_sqlite, sql
from tests.contract.databases import Databases
from tests.contract.deployments import Timed
from tests.contract.outbox import TYPES, Outbox, audit_of
from tests.contract.people import PASSWORD, Session
from tests.support.settings import settings


@pytest.fixture
async def outbox(timed: Timed) -> Outbox:
    outbox = Outbox(timed)
    await outbox.skip()
    return outbox


# --- every type, by its act, once ------------------------------------------------------------------------------------
async def test_signing_up_in_and_out(timed: Timed, outbox: Outbox) -> None:
    account = await timed.people.sign_up()
    (event,) = await outbox.events()
    assert (event.type, event.user_id, event.data["userId"]) == (
        "auth.user.registered",
        account.id,
        account.id,
    )
    assert event.data["actorTypes"] == ["customer"]
    session = await timed.people.sign_in(account)
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.session.created", account.id)
    assert event.data == {
        "userId": account.id,
        "sessionId": session.id,
        "actorType": "customer",
        "amr": ["pwd"],
    }
    for _ in range(2):
        accepted(await timed.api.post("/sign-out", {}, bearer=session.token))
    (event,) = await outbox.events()
    assert (event.type, event.data["sessionId"]) == ("auth.session.revoked", session.id)
    await timed.people.sign_up("merchant", organizationName="Acme")
    assert await outbox.types() == {
        "auth.user.registered": 1,
        "auth.org.created": 1,
        "auth.org.member_added": 1,
    }


async def test_profile_and_password(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    await outbox.skip()
    accepted(await timed.api.post("/update-user", {"name": "Grace"}, bearer=session.token))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.user.updated", account.id)
    change = {"currentPassword": account.password, "newPassword": PASSWORD[::-1]}
    accepted(await timed.api.post("/change-password", change, bearer=session.token))
    events = await outbox.events()
    assert Counter(event.type for event in events) == {
        "auth.session.revoked": 2,
        "auth.session.created": 1,
        "auth.user.updated": 1,
    }
    ended = {event.data["sessionId"] for event in events if event.type == "auth.session.revoked"}
    assert ended == {session.id, other.id}


async def test_second_factor(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer()
    await timed.people.sign_in(account)
    await outbox.skip()
    await timed.people.enable(account, session)
    assert await outbox.types() == {}
    session = Session.of(await timed.people.verify(account.has.code(), bearer=session.token))
    events = await outbox.events()
    assert Counter(event.type for event in events) == {
        "auth.session.revoked": 2,
        "auth.session.created": 1,
        "auth.2fa.enabled": 1,
    }
    (enabled,) = (event for event in events if event.type == "auth.2fa.enabled")
    assert (enabled.user_id, enabled.data["actorType"]) == (account.id, "customer")
    # Sign-in with a backup code: used, and a session, and nothing more.
    challenge = await timed.people.challenge(account)
    refused(
        await timed.people.redeem("0000-00000-00000-0000", challenge=challenge), 401, "INVALID_BACKUP_CODE"
    )
    assert await outbox.types() == {}
    accepted(await timed.people.redeem(account.codes[0], challenge=challenge))
    refused(
        await timed.people.redeem(account.codes[0], challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE"
    )
    assert await outbox.types() == {"auth.2fa.backup_code_used": 1, "auth.session.created": 1}
    body = {"password": account.password}
    accepted(await timed.api.post("/two-factor/generate-backup-codes", body, bearer=session.token))
    assert await outbox.types() == {"auth.2fa.backup_codes_regenerated": 1}
    accepted(await timed.api.post("/two-factor/disable", body, bearer=session.token))
    assert await outbox.types() == {"auth.2fa.disabled": 1, "auth.session.revoked": 1}


async def test_lock_of_second_factors(timed: Timed, outbox: Outbox) -> None:
    for _ in range(2):
        challenge = await timed.people.challenge(timed.carol)
        for _ in range(5):
            wrong = await timed.people.verify(timed.carol.has.wrong(), challenge=challenge)
            refused(wrong, 401, "INVALID_CODE")
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.2fa.locked", timed.carol.id)
    challenge = await timed.people.challenge(timed.carol)
    locked = await timed.people.verify(timed.carol.has.code(), challenge=challenge)
    refused(locked, 429, "ACCOUNT_TEMPORARILY_LOCKED")
    assert await outbox.types() == {}


async def test_reuse_of_a_refresh_token(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer()
    await outbox.skip()
    body = {"refreshToken": session.refresh_token}
    accepted(await timed.api.post("/token/refresh", body))
    assert await outbox.types() == {}
    timed.time.advance(seconds=11)
    for _ in range(2):
        refused(await timed.api.post("/token/refresh", body), 401, "INVALID_REFRESH_TOKEN")
    events = await outbox.events()
    assert [event.type for event in events] == ["auth.refresh.reuse_detected", "auth.session.revoked"]
    assert {(event.user_id, event.data["sessionId"]) for event in events} == {(account.id, session.id)}


async def test_api_keys(timed: Timed, outbox: Outbox) -> None:
    account, session = await timed.people.newcomer("merchant")
    organization = await create_organization(timed.api, session)
    await outbox.skip()
    key = await create_key(timed.api, session, organizationId=organization, name="ci")
    described = {
        "userId": account.id,
        "organizationId": organization,
        "actorType": "merchant",
        "apiKeyId": key["id"],
        "prefix": key["prefix"],
    }
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.apikey.created", account.id)
    assert {name: event.data[name] for name in described} == described
    accepted(await timed.api.patch(f"/api-keys/{key['id']}", {"name": "x"}, bearer=session.token))
    assert await outbox.types() == {}
    rotated = await timed.api.post(
        f"/api-keys/{key['id']}/rotate", {"overlapSeconds": 60}, bearer=session.token
    )
    new = accepted(rotated, 201)["apiKey"]
    (event,) = await outbox.events()
    assert event.type == "auth.apikey.rotated"
    assert {name: event.data[name] for name in described} == described | {
        "apiKeyId": new["id"],
        "prefix": new["prefix"],
    }
    accepted(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    refused(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 404, "NOT_FOUND")
    (event,) = await outbox.events()
    assert event.type == "auth.apikey.revoked"
    assert {name: event.data[name] for name in described} == described


async def test_administration(timed: Timed, outbox: Outbox) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer()
    await timed.people.sign_in(account)
    keys = [await create_key(timed.api, session) for _ in range(2)]
    await outbox.skip()
    user = f"/admin/users/{account.id}"
    for _ in range(2):
        accepted(await timed.api.post(f"{user}/actor-types", {"add": ["merchant"]}, bearer=admin.token))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.role.changed", account.id)
    for _ in range(2):
        accepted(await timed.api.post(f"{user}/ban", {"reason": "fraud"}, bearer=admin.token))
    events = await outbox.events()
    assert Counter(event.type for event in events) == {
        "auth.user.banned": 1,
        "auth.session.revoked": 2,
        "auth.apikey.revoked": 2,
    }
    assert {event.user_id for event in events} == {account.id}
    revoked = {event.data.get("apiKeyId") for event in events} - {None}
    assert revoked == {key["id"] for key in keys}
    reset = f"/admin/users/{timed.carol.id}/two-factor"
    accepted(await timed.api.delete(reset, {"reason": "lost"}, bearer=admin.token), 204)
    # The session in which carol turned it on is still alive.
    assert await outbox.types() == {"auth.2fa.disabled": 1, "auth.session.revoked": 1}


async def test_organizations(timed: Timed, outbox: Outbox) -> None:
    api = timed.api
    _, owner = await timed.people.newcomer()
    account, session = await timed.people.newcomer()
    await outbox.skip()
    organization = await create_organization(api, owner)
    assert await outbox.types() == {"auth.org.created": 1, "auth.org.member_added": 1}
    await join(api, owner, organization, (account, session))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.org.member_added", account.id)
    assert event.data["organizationId"] == organization
    member = f"/organizations/{organization}/members/{account.id}"
    for _ in range(2):
        accepted(await api.patch(member, {"role": "viewer"}, bearer=owner.token))
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.role.changed", account.id)
    assert event.data["organizationId"] == organization
    accepted(await api.delete(member, {"confirm": True}, bearer=owner.token), 204)
    (event,) = await outbox.events()
    assert (event.type, event.user_id) == ("auth.org.member_removed", account.id)
    accepted(await api.delete(f"/organizations/{organization}", bearer=owner.token), 204)
    assert await outbox.types() == {"auth.org.member_removed": 1}


# --- in the transaction of the change --------------------------------------------------------------------------------
async def test_refused_acts_leave_no_event(deploy: Deploy) -> None:
    timed = await deploy(api_key_limit=1)
    outbox = Outbox(timed)
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    accepted(await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token), 201)
    await outbox.skip()
    for method, path, body in (
        ("POST", "/api-keys", {"name": "over the limit"}),
        ("POST", "/api-keys", {"name": "x", "organizationId": UNKNOWN}),
        ("POST", "/api-keys", {"name": "x", "scopes": ["admin:x"]}),
        ("POST", f"/api-keys/{key['id']}/rotate", {}),
        ("DELETE", f"/api-keys/{UNKNOWN}", {}),
        ("POST", "/change-password", {"currentPassword": "wrong one", "newPassword": "a new password"}),
        ("POST", "/two-factor/disable", {"password": account.password}),
        ("POST", "/switch-actor", {"actorType": "admin"}),
        ("POST", f"/admin/users/{account.id}/ban", {"reason": "myself"}),
        ("POST", "/customer/sign-up", {"email": account.email, "password": PASSWORD, "name": "Twin"}),
        ("POST", "/customer/sign-in/email", {"email": account.email, "password": "wrong one"}),
    ):
        answer = await timed.api.call(method, path, body, bearer=session.token)
        assert answer.status_code in (400, 401, 403, 404, 409, 422), path
    assert await outbox.types() == {}


FAIL_ON = {
    "sqlite": "CREATE TRIGGER fails BEFORE INSERT ON {}%s BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": "CREATE TRIGGER fails BEFORE INSERT ON {}%s EXECUTE FUNCTION fail()",
}


@pytest.mark.parametrize("table", ["events", "audit", "api_keys"])
async def test_change_and_event_are_committed_together_or_not_at_all(timed: Timed, table: str) -> None:
    url = timed.auth.settings.storage_url
    outbox = Outbox(timed)
    _, session = await timed.people.newcomer()
    kept = await create_key(timed.api, session)
    await outbox.skip()
    audited = len(await audit_of(timed))
    if not is_sqlite(url):
        await sql(
            url,
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$",
        )
    await sql(url, FAIL_ON[timed.auth.storage.dialect] % table)
    answers = [
        await timed.api.post("/api-keys", {"name": "half"}, bearer=session.token),
        await timed.api.post(f"/api-keys/{kept['id']}/rotate", {}, bearer=session.token),
    ]
    if table != "api_keys":
        answers.append(await timed.api.delete(f"/api-keys/{kept['id']}", bearer=session.token))
    for answer in answers:
        refused(answer, 503, "SERVICE_UNAVAILABLE")
    await sql(url, "DROP TRIGGER fails" + ("" if is_sqlite(url) else f" ON {{}}{table}"))
    (left,) = await listed_keys(timed.api, session)
    assert (left["id"], left["rotatedAt"]) == (kept["id"], None)
    assert await outbox.types() == {}
    assert len(await audit_of(timed)) == audited
    # And it continues, without a restart.
    await create_key(timed.api, session)
    assert await outbox.types() == {"auth.apikey.created": 1}


async def test_exactly_the_types_of_the_contract_are_known(databases: Databases) -> None:
    auth = Auth(settings(databases.new()))
    for event_type in TYPES:
        auth.on(event_type)
    for other in ("auth.user.unbanned", "auth.apikey.changed", "auth.sign_in"):
        with pytest.raises(ValueError, match="no event is called"):
            auth.on(other)
    await auth.stop()
