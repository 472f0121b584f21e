"""Registering somebody else's address first leaves no way in after its owner took the account over (F9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from czo_auth.core.context import system_context
from czo_auth.core.flows.administration.import_users import SourceUser
from czo_auth.core.text import iso_timestamp
from czo_auth.translations import shipped
from tests.contract.acting import create_key, create_organization, is_accepted, join
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session

NEW = "a wholly different passphrase"


async def take_over(here: Timed, account: Account) -> None:
    """Do what the owner of the address does: reset the password by mail."""
    before = len(here.mail.tokens(account.email, "password_reset"))
    accepted(await here.api.post("/request-password-reset", {"email": account.email}))
    token = await here.mail.token(account.email, "password_reset", after=before)
    accepted(await here.api.post("/reset-password", {"token": token, "newPassword": NEW}))
    account.password = NEW


async def confirmation(here: Timed, account: Account) -> str:
    accepted(await here.api.post("/send-verification-email", {"email": account.email}))
    return await here.mail.token(account.email, "verification")


async def state(here: Timed, session: Session) -> dict[str, Any]:
    user: dict[str, Any] = accepted(await here.api.get("/session", bearer=session.token))["user"]
    return user


async def test_first_proof_of_an_address_ends_what_was_made_before(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    accepted(await timed.api.post("/change-email", {"newEmail": "thief@example.com"}, bearer=session.token))
    link = await timed.mail.token("thief@example.com", "email_change")
    session = await timed.people.enroll(account, session)
    await take_over(timed, account)
    assert not await timed.people.is_alive(session)
    assert not await is_accepted(timed.api, key["key"])
    refused(await timed.api.get(f"/verify-email?token={link}"), 400, "INVALID_TOKEN")
    account.phone = None
    owner = await timed.people.sign_in(account)
    assert (owner.body["user"]["emailVerified"], owner.body["user"]["twoFactorEnabled"]) == (True, False)
    mails = [one for one in timed.mail.messages if (one.to, one.kind) == (account.email, "address_proved")]
    for words in ("all sessions", "all API keys", "a pending change of address", "two-factor authentication"):
        assert words in mails[0].text
    audit = await timed.auth.services.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=10_000))
    of_account = [one for one in audit if one.audit_event.user_id == account.id]
    ended = {
        one.audit_event.action
        for one in of_account
        if one.audit_event.details.get("reason") == "address_proved"
    }
    assert ended == {
        *("auth.session.revoked", "auth.apikey.revoked", "auth.2fa.disabled", "auth.user.email_change_closed")
    }


async def test_later_reset_ends_sessions_only(timed: Timed) -> None:
    account = await timed.people.sign_up()
    await take_over(timed, account)
    session = await timed.people.sign_in(account)
    key = await create_key(timed.api, session)
    session = await timed.people.enroll(account, session)
    await take_over(timed, account)
    assert not await timed.people.is_alive(session)
    assert await is_accepted(timed.api, key["key"])
    timed.time.advance(minutes=1)
    assert (await timed.people.sign_in(account)).body["user"]["twoFactorEnabled"] is True


async def test_confirmation_ends_nothing(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    session = await timed.people.enroll(account, session)
    token = await confirmation(timed, account)
    accepted(await timed.api.get(f"/verify-email?token={token}"))
    assert await is_accepted(timed.api, key["key"])
    assert (await state(timed, session))["twoFactorEnabled"] is True


async def test_factor_stays_where_an_actor_type_demands_one(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    await timed.people.enroll(account, session)
    await timed.promote(account)
    await take_over(timed, account)
    timed.time.advance(minutes=1)
    assert (await timed.people.sign_in(account)).body["user"]["twoFactorEnabled"] is True


async def test_factor_stays_in_an_organization_of_somebody_else(timed: Timed) -> None:
    _, owner = await timed.people.newcomer()
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    await join(timed.api, owner, organization, (account, session))
    session = await timed.people.enroll(account, session)
    key = await create_key(timed.api, session)
    await take_over(timed, account)
    assert not await is_accepted(timed.api, key["key"]), "all else ends all the same"
    timed.time.advance(minutes=1)
    assert (await timed.people.sign_in(account)).body["user"]["twoFactorEnabled"] is True


async def test_factor_ends_where_the_organizations_are_the_squatters_own(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    await create_organization(timed.api, session)
    await timed.people.enroll(account, session)
    await take_over(timed, account)
    account.phone = None
    assert (await timed.people.sign_in(account)).body["user"]["twoFactorEnabled"] is False


@pytest.mark.parametrize("made_by", ["import", "operator"])
async def test_factor_stays_on_accounts_that_were_made_for_people(timed: Timed, made_by: str) -> None:
    account, session = await timed.people.newcomer()
    await timed.people.enroll(account, session)
    url = timed.auth.settings.storage_url
    await sql(url, "UPDATE {}users SET made_by = $1 WHERE id = $2", made_by, account.id)
    await take_over(timed, account)
    timed.time.advance(minutes=1)
    assert (await timed.people.sign_in(account)).body["user"]["twoFactorEnabled"] is True


async def test_accounts_that_were_made_for_people_say_by_whom(timed: Timed) -> None:
    known = SourceUser(email="imported@example.com", name="Ada", password_hash=None)
    importing = timed.auth.services
    from czo_auth.core.flows.administration.import_users import ImportUsers

    assert (
        await ImportUsers(importing).import_user(known, context=system_context(timed.clock())) == "imported"
    )
    found_user = await timed.auth.services.transactions.read(lambda tx: tx.users.find_by_email(known.email))
    assert found_user is not None
    assert found_user.made_by == "import"
    admin = await timed.people.sign_in(timed.ada, "admin")
    body = {"email": "made@example.com", "name": "Made"}
    accepted(await timed.api.post("/admin/users", body, bearer=admin.token), 201)
    made = await timed.auth.services.transactions.read(lambda tx: tx.users.find_by_email("made@example.com"))
    assert made is not None
    assert made.made_by == "operator"


# --- "this was not me" -----------------------------------------------------------------------------------------------
async def test_mail_says_when_and_from_where_the_account_was_made(timed: Timed) -> None:
    account = Account(email="owner@example.com")
    body = {"email": account.email, "password": account.password, "name": "x"}
    headers = {"user-agent": "Squatter Browser 9"}
    accepted(await timed.api.post("/customer/sign-up", body, headers=headers), 201)
    await confirmation(timed, account)
    text = next(one.text for one in timed.mail.messages if one.kind == "verification")
    assert shipped()["en"].moment(timed.clock()) in text.replace("\n", " ")
    assert "127.0.0.1" in text
    assert "Squatter Browser 9" in text


async def test_owner_of_the_address_deletes_the_account_that_was_not_theirs(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    token = await confirmation(timed, account)
    assert accepted(await timed.api.post("/reject-verification", {"token": token})) == {"status": True}
    assert not await timed.people.is_alive(session)
    assert not await is_accepted(timed.api, key["key"])
    refused(await timed.api.post("/reject-verification", {"token": token}), 400, "INVALID_TOKEN")
    again = {"email": account.email, "password": account.password, "name": "Owner"}
    accepted(await timed.api.post("/customer/sign-up", again), 201)


async def test_account_that_was_confirmed_is_not_deleted_by_a_link(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    token = await confirmation(timed, account)
    accepted(await timed.api.get(f"/verify-email?token={token}"))
    refused(await timed.api.post("/reject-verification", {"token": token}), 400, "INVALID_TOKEN")
    assert await timed.people.is_alive(session)


# --- factors that stayed ---------------------------------------------------------------------------------------------
async def test_reset_of_factors_that_stayed_waits_a_day_and_can_be_cancelled(timed: Timed) -> None:
    _, owner = await timed.people.newcomer()
    account, session = await timed.people.newcomer()
    await join(timed.api, owner, await create_organization(timed.api, owner), (account, session))
    await timed.people.enroll(account, session)
    admin = await timed.people.sign_in(timed.ada, "admin")
    path, body = f"/admin/users/{account.id}/two-factor", {"reason": "says that the phone is gone"}
    await take_over(timed, account)
    asked = accepted(await timed.api.delete(path, body, bearer=admin.token), 202)["reset"]
    assert asked["dueAt"] == iso_timestamp(timed.clock() + timedelta(days=1))
    token = await timed.mail.token(account.email, "two_factor_reset_asked")
    assert (await timed.api.post("/two-factor/reset/cancel", {"token": token})).status_code in (200, 204)

    # The factors went, and with them the question whose they are: another one is reset at once.
    accepted(await timed.api.delete(path, body, bearer=admin.token), 202)
    timed.time.advance(days=1)
    await timed.runtime.recovery.carry_out_due(now=timed.clock())
    account.phone = None
    session = await timed.people.sign_in(account)
    assert session.body["user"]["twoFactorEnabled"] is False
    await timed.people.enroll(account, session)
    timed.time.advance(minutes=1)
    admin = await timed.people.sign_in(timed.ada, "admin")
    assert (await timed.api.delete(path, body, bearer=admin.token)).status_code == 204
