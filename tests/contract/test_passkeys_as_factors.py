"""What a factor is, in one place: wherever a second factor is demanded, ended or counted, a passkey is one (S36)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from czo_auth.core.actors import ADMIN, CUSTOMER, ActorType
from czo_auth.core.context import system_context
from czo_auth.core.errors import ReauthenticationRequired
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Deployment, Timed
from tests.contract.passkeys import (
    answer_registration,
    begin_registration,
    begin_second_step,
    register,
    sign_in,
)
from tests.contract.people import Account, Session
from tests.contract.routes import ENROLLING, PUBLIC, WITH_OR_WITHOUT, every_route
from tests.support.authenticator import Authenticator, decode


async def turn_on(here: Deployment, account: Account, session: Session, device: Authenticator) -> Session:
    """Turn two factors on by a passkey alone."""
    options = await begin_registration(here, session)
    answer = await answer_registration(here, session, options, device.create(options), enableTwoFactor=True)
    account.codes = accepted(answer)["backupCodes"]
    return Session.of(answer)


async def step_up(here: Deployment, session: Session, device: Authenticator) -> Session:
    options = await begin_second_step(here, bearer=session.token)
    body = {"response": device.get(options), "ceremony": options["ceremony"]}
    return Session.of(await here.api.post("/two-factor/verify-passkey", body, bearer=session.token))


# --- the owner's own -------------------------------------------------------------------------------------------------
async def test_passkeys_are_listed_renamed_and_removed_by_their_owner(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    device, second = Authenticator(timed.api.origin), Authenticator(timed.api.origin)
    first = await register(timed, session, device, name="phone")
    timed.time.advance(seconds=1)
    await register(timed, session, second, name="laptop")
    listed = accepted(await timed.api.get("/passkey/list-user-passkeys", bearer=session.token))
    assert [one["name"] for one in listed] == ["laptop", "phone"]
    body = {"id": first["id"], "name": "old phone"}
    renamed = accepted(await timed.api.post("/passkey/update-passkey", body, bearer=session.token))
    assert renamed["passkey"]["name"] == "old phone"
    _, other = await timed.people.newcomer()
    for path in ("/passkey/update-passkey", "/passkey/delete-passkey"):
        refused(await timed.api.post(path, body, bearer=other.token), 404, "PASSKEY_NOT_FOUND")
        odd = {**body, "id": "not-an-id"}
        refused(await timed.api.post(path, odd, bearer=session.token), 404, "PASSKEY_NOT_FOUND")
    gone = {"id": first["id"]}
    accepted(await timed.api.post("/passkey/delete-passkey", gone, bearer=session.token))
    refused(
        await timed.api.post("/passkey/delete-passkey", gone, bearer=session.token), 404, "PASSKEY_NOT_FOUND"
    )
    with pytest.raises(AssertionError, match="AUTHENTICATION_FAILED"):
        await sign_in(timed, device)
    used = await sign_in(timed, second)
    listed = accepted(await timed.api.get("/passkey/list-user-passkeys", bearer=used.token))
    assert [one["lastUsedAt"] is not None for one in listed] == [True]
    kinds = [message.kind for message in timed.mail.messages if message.to == account.email]
    assert kinds.count("passkey_added") == 2
    assert kinds.count("passkey_removed") == 1


async def test_removal_needs_recent_proof(timed_sqlite: Timed) -> None:
    account, session = await timed_sqlite.people.newcomer()
    passkey = await register(timed_sqlite, session, Authenticator(timed_sqlite.api.origin))
    timed_sqlite.time.advance(minutes=11)
    body = {"id": passkey["id"]}
    refused(
        await timed_sqlite.api.post("/passkey/delete-passkey", body, bearer=session.token),
        403,
        "REAUTHENTICATION_REQUIRED",
    )
    wrong = {**body, "password": "wrong"}
    refused(
        await timed_sqlite.api.post("/passkey/delete-passkey", wrong, bearer=session.token),
        400,
        "INVALID_PASSWORD",
    )
    right = {**body, "password": account.password}
    accepted(await timed_sqlite.api.post("/passkey/delete-passkey", right, bearer=session.token))


async def test_removing_the_last_factor_turns_two_factor_off_and_ends_other_sessions(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    device = Authenticator(timed.api.origin)
    session = await turn_on(timed, account, session, device)
    other = await sign_in(timed, device)
    (passkey,) = accepted(await timed.api.get("/passkey/list-user-passkeys", bearer=session.token))
    accepted(await timed.api.post("/passkey/delete-passkey", {"id": passkey["id"]}, bearer=session.token))
    assert not await timed.people.is_alive(other)
    state = await timed.people.two_factor(session)
    assert (state["enabled"], state["passkeys"], state["backupCodesRemaining"]) == (False, 0, 0)
    now = accepted(await timed.api.get("/session", bearer=session.token))["session"]
    assert (now["aal"], now["phishingResistant"]) == (1, False)
    assert (await timed.people.sign_in(account)).body["requires2FA"] is False


async def test_disable_ends_the_app_and_keeps_the_passkey(timed: Timed) -> None:
    account, session = await timed.people.enrolled()
    device = Authenticator(timed.api.origin)
    await register(timed, session, device)
    body = {"password": account.password}
    accepted(await timed.api.post("/two-factor/disable", body, bearer=session.token))
    account.phone = None
    state = await timed.people.two_factor(session)
    assert (state["enabled"], state["passkeys"], state["backupCodesRemaining"]) == (True, 1, 10)
    assert state["methods"] == ["passkey", "backup-code"]
    begun = accepted(await timed.people.begin(account))
    assert begun["twoFactorMethods"] == ["passkey", "backup-code"]
    refused(await timed.people.verify("123456", challenge=begun["challenge"]), 400, "TOTP_NOT_ENABLED")
    Session.of(await timed.people.redeem(account.codes[0], challenge=begun["challenge"]))
    raised = await sign_in(timed, device)
    refused(await timed.api.post("/two-factor/disable", body, bearer=raised.token), 400, "TOTP_NOT_ENABLED")
    accepted(await timed.api.post("/two-factor/disable", {**body, "all": True}, bearer=raised.token))
    state = await timed.people.two_factor(raised)
    assert (state["enabled"], state["passkeys"], state["backupCodesRemaining"]) == (False, 0, 0)
    assert (await timed.people.sign_in(account)).body["requires2FA"] is False


async def test_enable_beside_a_passkey_keeps_the_codes(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    session = await turn_on(timed, account, session, Authenticator(timed.api.origin))
    codes = account.codes
    shown = await timed.people.enable(account, session)
    assert shown["backupCodes"] == []
    renewed = Session.of(await timed.people.verify(account.has.code(), bearer=session.token))
    state = await timed.people.two_factor(renewed)
    assert state["methods"] == ["passkey", "totp", "backup-code"]
    assert state["backupCodesRemaining"] == 10
    challenge = await timed.people.challenge(account)
    Session.of(await timed.people.redeem(codes[0], challenge=challenge))


async def test_session_stays_phishing_resistant_when_a_code_is_proved_too(timed_sqlite: Timed) -> None:
    account, session = await timed_sqlite.people.enrolled()
    device = Authenticator(timed_sqlite.api.origin)
    await register(timed_sqlite, session, device)
    opened = await sign_in(timed_sqlite, device)
    timed_sqlite.time.advance(minutes=1)
    raised = Session.of(await timed_sqlite.people.verify(account.has.code(), bearer=opened.token))
    assert raised.body["session"]["phishingResistant"] is True
    assert raised.body["session"]["amr"] == ["hwk", "user"]


async def test_use_of_a_passkey_is_recent_proof_of_both_factors(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    device = Authenticator(timed.api.origin)
    session = await turn_on(timed, account, session, device)
    timed.time.advance(minutes=11)
    begun = await timed.api.get("/passkey/generate-register-options", bearer=session.token)
    refused(begun, 403, "REAUTHENTICATION_REQUIRED")
    session = await step_up(timed, session, device)
    await register(timed, session, Authenticator(timed.api.origin))


@pytest.mark.each_database
async def test_host_asks_for_a_second_proof_once_two_factors_are_on(timed: Timed) -> None:
    """A passkey that is only a way to sign in locks nobody out of what asks for a fresh proof."""
    account, session = await timed.people.newcomer()
    await register(timed, session, Authenticator(timed.api.origin))
    ten_minutes = timedelta(minutes=10)
    for token in (session.token, session.access_token):
        principal = await timed.auth.authenticate_token(token)
        principal.require_fresh(ten_minutes, now=timed.clock())
    await timed.auth.services.transactions.run(
        lambda tx: tx.users.set_passkeys_enabled(account.id, tx.now, now=tx.now),
        system_context(timed.clock()),
    )
    for token in (session.token, session.access_token):
        principal = await timed.auth.authenticate_token(token)
        with pytest.raises(ReauthenticationRequired):
            principal.require_fresh(ten_minutes, now=timed.clock())


async def test_access_token_says_that_a_passkey_was_used(timed_sqlite: Timed) -> None:
    import json

    account, session = await timed_sqlite.people.newcomer()
    device = Authenticator(timed_sqlite.api.origin)
    await register(timed_sqlite, session, device)
    opened = await sign_in(timed_sqlite, device)
    claims = json.loads(decode(opened.access_token.split(".")[1]))
    assert claims["phr"] is True
    assert claims["sub"] == account.id
    by_password = await timed_sqlite.people.sign_in(account)
    assert "phr" not in json.loads(decode(by_password.access_token.split(".")[1]))


# --- demanded, reset, counted ----------------------------------------------------------------------------------------
async def test_demand_is_met_by_a_passkey_and_kept_met(timed: Timed) -> None:
    account, session = await timed.admin()
    device = Authenticator(timed.api.origin)
    options = await begin_registration(timed, session)
    session = Session.of(await answer_registration(timed, session, options, device.create(options)))
    (passkey,) = accepted(await timed.api.get("/passkey/list-user-passkeys", bearer=session.token))
    for path, body in (
        ("/passkey/delete-passkey", {"id": passkey["id"]}),
        ("/two-factor/disable", {"password": account.password, "all": True}),
    ):
        refused(await timed.api.post(path, body, bearer=session.token), 409, "TWO_FACTOR_REQUIRED_BY_POLICY")
    assert (await timed.people.two_factor(session))["passkeys"] == 1


async def test_promotion_makes_a_plain_passkey_the_second_step(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    device = Authenticator(timed.api.origin)
    await register(timed, session, device)
    await timed.promote(account)
    begun = accepted(await timed.people.begin(account, "admin"))
    assert begun["twoFactorMethods"] == ["passkey"]
    opened = await sign_in(timed, device, actorType="admin")
    accepted(await timed.api.get("/admin/users", bearer=opened.token))


async def test_keys_of_an_administrator_by_passkey_alone_work(timed: Timed) -> None:
    _, session = await timed.admin()
    device = Authenticator(timed.api.origin)
    options = await begin_registration(timed, session)
    session = Session.of(await answer_registration(timed, session, options, device.create(options)))
    created = await timed.api.post("/api-keys", {"name": "deploy"}, bearer=session.token)
    key = accepted(created, 201)["apiKey"]["key"]
    who = accepted(await timed.api.get("/whoami", bearer=key))
    assert who["phishingResistant"] is False


async def test_reset_ends_passkeys_and_is_remembered_nowhere(timed: Timed) -> None:
    """A credential that was looked up before the reset is looked up again after it."""
    account, session = await timed.people.newcomer()
    device = Authenticator(timed.api.origin)
    session = await turn_on(timed, account, session, device)
    root, root_session = timed.ada, await timed.people.sign_in(timed.ada, "admin")
    assert root.id
    answer = await timed.api.delete(
        f"/admin/users/{account.id}/two-factor", {"reason": "lost everything"}, bearer=root_session.token
    )
    accepted(answer, 204)
    assert not await timed.people.is_alive(session)
    with pytest.raises(AssertionError, match="AUTHENTICATION_FAILED"):
        await sign_in(timed, device)
    assert (await timed.people.sign_in(account)).body["requires2FA"] is False
    removed = await timed.auth.administration.events(event_type="auth.passkey.removed", before=None, limit=5)
    assert [event.user_id for event in removed] == [account.id]


async def test_coverage_counts_passkeys(timed_sqlite: Timed) -> None:
    def covered(rows: Any) -> dict[str, tuple[int, int]]:
        return {row.actor_type: (row.users, row.with_factor) for row in rows}

    before = covered(await timed_sqlite.auth.administration.policy_overview())
    account, session = await timed_sqlite.people.newcomer()
    await register(timed_sqlite, session, Authenticator(timed_sqlite.api.origin))
    after = covered(await timed_sqlite.auth.administration.policy_overview())
    assert after["customer"] == (before["customer"][0] + 1, before["customer"][1] + 1)
    assert account.id


# --- phishing-resistant ----------------------------------------------------------------------------------------------
PASSKEYS_ONLY = (
    CUSTOMER,
    ActorType(name="operator", two_factor="phishing_resistant", administers=True),
    ADMIN,
)


async def operator(here: Timed) -> tuple[Account, Session]:
    """Give somebody who must use a passkey and has an authenticator app."""
    account, session = await here.people.enrolled()
    await here.auth.administration.change_actor_types(
        account.id, add=["operator"], remove=[], context=system_context(here.clock())
    )
    return account, session


async def test_actor_type_demands_a_passkey_and_its_use(deploy: Deploy) -> None:
    here = await deploy(actor_types=PASSKEYS_ONLY)
    account, session = await operator(here)
    shown = accepted(await here.api.get("/session", bearer=session.token))
    assert shown["session"]["restrictedTo"] == "two_factor_setup"
    refused(await here.api.get("/sessions", bearer=session.token), 403, "TWO_FACTOR_SETUP_REQUIRED")
    device = Authenticator(here.api.origin)
    await register(here, session, device)
    refused(await here.api.get("/sessions", bearer=session.token), 403, "PHISHING_RESISTANT_FACTOR_REQUIRED")
    here.time.advance(minutes=1)
    by_code = await here.people.sign_in(account, "operator")
    refused(
        await here.api.get("/admin/users", bearer=by_code.token), 403, "PHISHING_RESISTANT_FACTOR_REQUIRED"
    )
    # A code does not let anyone add the passkey that is asked for.
    begun = await here.api.get("/passkey/generate-register-options", bearer=by_code.token)
    refused(begun, 403, "PHISHING_RESISTANT_FACTOR_REQUIRED")
    raised = await step_up(here, by_code, device)
    accepted(await here.api.get("/admin/users", bearer=raised.token))
    opened = await sign_in(here, device, actorType="operator")
    accepted(await here.api.get("/admin/users", bearer=opened.token))
    (passkey,) = accepted(await here.api.get("/passkey/list-user-passkeys", bearer=opened.token))
    refused(
        await here.api.post("/passkey/delete-passkey", {"id": passkey["id"]}, bearer=opened.token),
        409,
        "TWO_FACTOR_REQUIRED_BY_POLICY",
    )


async def test_every_route_is_closed_until_the_passkey_is_used(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(actor_types=PASSKEYS_ONLY)
    account, session = await operator(here)
    await register(here, session, Authenticator(here.api.origin))
    here.time.advance(minutes=1)
    by_code = await here.people.sign_in(account)
    for route in await every_route(here.api):
        if route.name in ENROLLING | PUBLIC | WITH_OR_WITHOUT:
            continue
        body = {} if route.method != "GET" else None
        how: dict[str, Any] = {"bearer": by_code.token}
        answer = await (
            here.api.call(route.method, route.address(), **how)
            if body is None
            else here.api.call(route.method, route.address(), body, **how)
        )
        assert answer.json().get("code") == "PHISHING_RESISTANT_FACTOR_REQUIRED", route.name
