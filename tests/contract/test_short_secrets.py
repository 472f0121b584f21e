"""Imported authenticator apps with a secret under 128 bits: a term, mails before it, and enrollment after it."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from itertools import count

import pytest

from czo_auth.core.context import system_context
from czo_auth.core.flows.administration.import_accounts import ImportAccounts
from czo_auth.core.flows.administration.import_records import SourceAccount, SourceTotp
from czo_auth.core.flows.administration.import_users import SourceUser
from tests.contract.acting import create_key
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD, Account, Phone

DAY = timedelta(days=1)
TERM = 30 * DAY
SHORT, LONG = b"fourteen bytes", b"sixteen bytes ok"
MUST_ENROLL = "TWO_FACTOR_SETUP_REQUIRED"
_numbers = count(1)


async def moved_in(timed: Timed, *, secret: bytes = SHORT) -> Account:
    """Bring somebody in who has an authenticator app; they have the phone that they had."""
    number = next(_numbers)
    account = Account(email=f"mover-{number}@example.com")
    known = SourceAccount(
        source_id=str(number),
        user=SourceUser(
            email=account.email,
            name="Mover",
            password_hash=await timed.auth.services.hashing.hash_password(PASSWORD),
            email_verified=True,
        ),
        totp=SourceTotp(secret=secret),
    )
    importing = ImportAccounts(timed.auth.services, source="old", rp_id=None, renew_within=TERM)
    imported = await importing.import_account(known, context=system_context(timed.clock()))
    assert ("totp", "imported") in imported.outcomes
    account.phone = Phone(base64.b32encode(secret).decode(), timed.clock)
    timed.time.now += timedelta(minutes=2)
    return account


async def test_after_the_term_a_session_can_only_enroll_the_app_again(deploy: Deploy) -> None:
    timed = await deploy()
    account = await moved_in(timed)
    ends = timed.clock() + TERM - timedelta(minutes=2)
    session = await timed.people.sign_in(account)
    key = (await create_key(timed.api, session))["key"]
    timed.time.now = ends - timedelta(seconds=40)
    session = await timed.people.sign_in(account)
    assert session.body["session"]["restrictedTo"] is None
    accepted(await timed.api.get("/whoami", bearer=session.token))
    accepted(await timed.api.get("/whoami", bearer=session.access_token))

    # What was remembered before counts until the end of the term and no longer; machines go on.
    timed.time.now = ends
    for credential in (session.token, session.access_token):
        refused(await timed.api.get("/sessions", bearer=credential), 403, MUST_ENROLL)
    accepted(await timed.api.get("/whoami", bearer=key))

    timed.time.now = ends + DAY
    session = await timed.people.sign_in(account)
    assert session.body["session"]["restrictedTo"] == "two_factor_setup"
    refused(await timed.api.get("/sessions", bearer=session.token), 403, MUST_ENROLL)
    refused(
        await timed.api.post("/two-factor/disable", {"password": PASSWORD}, bearer=session.token),
        403,
        MUST_ENROLL,
    )

    # As any client does that meets the restriction, without knowing why it is there.
    begun = accepted(await timed.api.post("/two-factor/enable", {"password": PASSWORD}, bearer=session.token))
    account.phone = Phone(begun["secret"], timed.clock)
    renewed = accepted(
        await timed.api.post("/two-factor/verify", {"code": account.has.code()}, bearer=session.token)
    )
    assert (renewed["session"]["restrictedTo"], renewed["session"]["aal"]) == (None, 2)
    timed.time.now += DAY
    session = await timed.people.sign_in(account)
    accepted(await timed.api.get("/sessions", bearer=session.token))
    assert "renewBy" not in accepted(await timed.api.get("/two-factor", bearer=session.token))


async def test_old_code_alone_does_not_pass_for_a_new_enrollment(deploy: Deploy) -> None:
    timed = await deploy()
    account = await moved_in(timed)
    timed.time.now += TERM
    session = await timed.people.sign_in(account)
    accepted(await timed.api.post("/two-factor/enable", {"password": PASSWORD}, bearer=session.token))
    stepped = accepted(
        await timed.api.post("/two-factor/verify", {"code": account.has.code()}, bearer=session.token)
    )
    assert stepped["session"]["restrictedTo"] == "two_factor_setup"


async def test_password_alone_begins_no_enrollment(deploy: Deploy) -> None:
    """The factor still has to be proved: the term takes none of its worth away before there is another one."""
    timed = await deploy()
    account = await moved_in(timed)
    timed.time.now += TERM
    session = await timed.people.sign_in(account)
    timed.time.now += timedelta(minutes=11)
    body = {"password": PASSWORD}
    refused(
        await timed.api.post("/two-factor/enable", body, bearer=session.token),
        403,
        "REAUTHENTICATION_REQUIRED",
    )
    body["code"] = account.has.code()
    accepted(await timed.api.post("/two-factor/enable", body, bearer=session.token))


async def test_secret_of_128_bits_has_no_term(deploy: Deploy) -> None:
    timed = await deploy()
    account = await moved_in(timed, secret=LONG)
    timed.time.now += 2 * TERM
    session = await timed.people.sign_in(account)
    accepted(await timed.api.get("/sessions", bearer=session.token))
    refused(
        await timed.api.post("/two-factor/enable", {"password": PASSWORD}, bearer=session.token),
        400,
        "TOTP_ALREADY_ENABLED",
    )


@pytest.mark.each_database
async def test_people_are_reminded_fourteen_seven_and_one_days_ahead_once_each(deploy: Deploy) -> None:
    timed = await deploy()
    account = await moved_in(timed)
    await moved_in(timed, secret=LONG)
    banned = await moved_in(timed)
    user = await timed.auth.administration.find_by_email(banned.email)
    await timed.auth.administration.ban(user.id, reason="gone", context=system_context(timed.clock()))
    for _ in range(TERM.days + 2):
        for _ in range(2):
            await timed.runtime.remind_renewals.remind(now=timed.clock())
        timed.time.now += DAY
    reported: list[str] = []
    for _ in range(200):
        reported = [mail.to for mail in timed.mail.messages if mail.kind == "two_factor_renewal"]
        if len(reported) == 3:
            break
        await asyncio.sleep(0.01)
    assert reported == [account.email] * 3
