"""What users are mailed about their account, in their language, and what "this was not me" does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from czo_auth import Settings
from czo_auth.core.mail import MailMessage
from tests.contract.api import BASE
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.mails import mailed, secure_account_token
from tests.contract.passkeys import begin_second_step, begin_sign_in, register
from tests.contract.people import Account
from tests.support.authenticator import Authenticator


def kinds(here: Timed, account: Account) -> list[str]:
    return [each.kind for each in here.mail.messages if each.to == account.email]


async def test_factors_codes_keys_and_passwords_are_reported(timed: Timed) -> None:
    people = timed.people
    account, session = await people.newcomer()
    session = await people.enroll(account, session)
    secure_account_token(await mailed(timed, account.email, "two_factor_enabled"))
    timed.time.advance(seconds=40)
    answer = await timed.api.post(
        "/two-factor/generate-backup-codes",
        {"password": account.password, "code": account.has.code()},
        bearer=session.token,
    )
    codes = accepted(answer)["backupCodes"]
    secure_account_token(await mailed(timed, account.email, "backup_codes_renewed"))
    challenge = await people.challenge(account)
    accepted(await people.redeem(codes[0], challenge=challenge))
    secure_account_token(await mailed(timed, account.email, "backup_code_used"))
    answer = await timed.api.post("/api-keys", {"name": "x”. evil.example"}, bearer=session.token)
    accepted(answer, 201)
    reported = await mailed(timed, account.email, "api_key_created")
    assert "evil . example" in reported.text
    secure_account_token(reported)
    made = answer.json()["apiKey"]
    answer = await timed.api.post(
        f"/api-keys/{made['id']}/rotate", {"overlapSeconds": 60}, bearer=session.token
    )
    prefix = accepted(answer, 201)["apiKey"]["prefix"]
    assert prefix in (await mailed(timed, account.email, "api_key_created", number=2)).text


async def test_right_password_with_wrong_codes_is_reported_once_and_the_lock_after_it(timed: Timed) -> None:
    people, carol = timed.people, timed.carol
    for attempt in range(10):
        if attempt % 5 == 0:
            challenge = await people.challenge(carol)
        await people.verify("000000", challenge=challenge)
        assert kinds(timed, carol).count("wrong_codes") <= 1
        if attempt == 1:
            assert "wrong_codes" not in kinds(timed, carol)
    warned = await mailed(timed, carol.email, "wrong_codes")
    assert "192.0.2" in warned.text or "127.0.0.1" in warned.text or "IP address" in warned.text
    locked = await mailed(timed, carol.email, "two_factor_locked")
    secure_account_token(locked)
    assert kinds(timed, carol).count("wrong_codes") == 1


async def test_a_new_browser_is_reported_and_a_known_one_is_not(timed_sqlite: Timed) -> None:
    here = timed_sqlite
    account = await here.people.sign_up()
    firefox = {"user-agent": "Mozilla/5.0 Firefox/140.0", "accept-language": "de"}
    body = {"email": account.email, "password": account.password}

    async def sign_in(cookie: str | None = None, **headers: str) -> str:
        sent = firefox | ({} if cookie is None else {"cookie": cookie}) | headers
        answer = await here.api.http.post(f"{BASE}/customer/sign-in/email", json=body, headers=sent)
        accepted(answer)
        return str(answer.cookies.get("czo-auth.known_browser"))

    known = await sign_in()
    await sign_in()
    here.time.advance(days=30)
    await sign_in(f"czo-auth.known_browser={known}")
    await sign_in(**{"user-agent": "curl/8"})
    reported = await mailed(here, account.email, "new_browser")
    assert ": curl\n" in reported.text
    assert kinds(here, account) == ["new_browser"], "not the first sign-in, the same program, a known browser"
    assert reported.language == "de"
    assert "Neue Anmeldung" in reported.subject


async def test_mails_are_in_the_language_of_the_last_sign_in_and_else_of_the_request(timed: Timed) -> None:
    here = timed
    account = await here.people.sign_up()

    async def ask(language: str, number: int) -> MailMessage:
        headers = {"accept-language": language}
        path = f"{BASE}/request-password-reset"
        accepted(await here.api.http.post(path, json={"email": account.email}, headers=headers))
        return await mailed(here, account.email, "password_reset", number=number)

    assert (await ask("fr-CA,en;q=0.5", 1)).language == "fr"
    assert (await ask("it", 2)).language == "en"
    body = {"email": account.email, "password": account.password}
    path = f"{BASE}/customer/sign-in/email"
    accepted(await here.api.http.post(path, json=body, headers={"accept-language": "de-AT"}))
    assert (await ask("fr", 3)).language == "de"


async def test_this_was_not_me_ends_sessions_and_password_and_begins_recovery(timed: Timed) -> None:
    here, people = timed, timed.people
    account, session = await people.newcomer()
    # A reset that proves an address for the first time would end second factors too.
    accepted(await here.api.post("/send-verification-email", {"email": account.email}))
    confirmation = await here.mail.token(account.email, "verification")
    accepted(await here.api.get(f"/verify-email?token={confirmation}"))
    session = await people.enroll(account, session)
    token = secure_account_token(await mailed(here, account.email, "two_factor_enabled"))
    accepted(await here.api.post("/secure-account", {"token": token}))
    assert not await people.is_alive(session)
    body = {"email": account.email, "password": account.password}
    refused(await here.api.post("/customer/sign-in/email", body), 401, "INVALID_EMAIL_OR_PASSWORD")
    # Once, and it says so.
    refused(await here.api.post("/secure-account", {"token": token}), 400, "INVALID_TOKEN")
    reset = str((await mailed(here, account.email, "account_secured")).token)
    new = "an entirely new phrase"
    accepted(await here.api.post("/reset-password", {"token": reset, "newPassword": new}))
    answer = accepted(await here.api.post("/customer/sign-in/email", {**body, "password": new}))
    assert answer["requires2FA"] is True, "second factors stay"
    admin = await people.sign_in(here.ada, "admin")
    audit = accepted(await here.api.get(f"/admin/audit?userId={account.id}&limit=200", bearer=admin.token))
    actions = {record["action"]: record for record in audit["audit"]}
    assert actions["auth.user.secured"]["method"] == "mail"
    assert actions["auth.user.secured"]["actorUserId"] == account.id


async def test_a_link_expires_after_a_week_when_a_later_one_is_used_and_when_the_address_changes(
    timed_sqlite: Timed,
) -> None:
    here, people = timed_sqlite, timed_sqlite.people

    async def reported(number: int) -> str:
        body = {"currentPassword": account.password, "newPassword": account.password + "x"}
        accepted(await here.api.post("/change-password", body, bearer=session.token))
        account.password += "x"
        return secure_account_token(await mailed(here, account.email, "password_changed", number=number))

    account, session = await people.newcomer()
    first = await reported(1)
    here.time.advance(days=7)
    refused(await here.api.post("/secure-account", {"token": first}), 400, "INVALID_TOKEN")
    session = await people.sign_in(account)
    older = await reported(2)
    here.time.advance(seconds=1)
    session = await people.sign_in(account)
    newer = await reported(3)
    accepted(await here.api.post("/secure-account", {"token": newer}))
    refused(await here.api.post("/secure-account", {"token": older}), 400, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "bend",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token[:30] + ("A" if token[30] != "A" else "B") + token[31:],
        lambda token: token + "A",
        lambda token: token.removeprefix("czm_"),
        lambda token: "czm_" + "A" * 43,
        lambda token: "czm_" + "é" * 56,
    ],
)
async def test_a_forged_link_does_nothing(timed_sqlite: Timed, bend: Callable[[str], str]) -> None:
    here = timed_sqlite
    account, session = await here.people.newcomer()
    session = await here.people.enroll(account, session)
    token = secure_account_token(await mailed(here, account.email, "two_factor_enabled"))
    refused(await here.api.post("/secure-account", {"token": bend(token)}), 400, "INVALID_TOKEN")
    assert await here.people.is_alive(session)


async def test_two_clicks_at_once_act_once(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    await timed.people.enroll(account, session)
    token = secure_account_token(await mailed(timed, account.email, "two_factor_enabled"))
    answers = await asyncio.gather(*(timed.api.post("/secure-account", {"token": token}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    await mailed(timed, account.email, "account_secured")
    await timed.auth.stop()
    assert kinds(timed, account).count("account_secured") == 1


async def test_kinds_that_are_switched_off_are_not_sent(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(mails_off="api_key_created,wrong_codes")
    account, session = await here.people.newcomer()
    accepted(await here.api.post("/api-keys", {"name": "CI"}, bearer=session.token), 201)
    session = await here.people.enroll(account, session)
    await mailed(here, account.email, "two_factor_enabled")
    assert "api_key_created" not in kinds(here, account)


@pytest.mark.parametrize("kind", ["password_changed", "two_factor_disabled", "password_reset", "nothing"])
def test_what_security_needs_cannot_be_switched_off(kind: str) -> None:
    with pytest.raises(ValidationError, match="mails_off"):
        Settings(mails_off=(kind,))


async def test_a_new_user_is_mailed_a_confirmation_where_that_is_on(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(confirm_sign_up=True)
    account = await here.people.sign_up()
    token = await here.mail.token(account.email, "verification")
    await here.people.sign_in(account)
    assert accepted(await here.api.get(f"/verify-email?token={token}"))["status"] is True
    assert Settings(smtp_url="smtp://localhost").policies().confirms_sign_up
    assert not Settings(smtp_url="smtp://localhost", confirm_sign_up=False).policies().confirms_sign_up


@pytest.mark.parametrize("step", ["alone", "second"])
async def test_a_passkey_in_a_new_browser_is_reported_and_in_a_known_one_is_not(
    timed: Timed, step: str
) -> None:
    here, device = timed, Authenticator(timed.api.origin)
    account, session = await here.people.newcomer()
    await register(here, session, device, enableTwoFactor=step == "second")
    here.time.advance(days=30)

    async def sign_in(agent: str, cookie: str | None = None) -> str:
        headers = {"user-agent": agent} | ({} if cookie is None else {"cookie": cookie})
        if step == "alone":
            options = await begin_sign_in(here)
            path, more = "/passkey/verify-authentication", {}
        else:
            challenge = await here.people.challenge(account)
            options = await begin_second_step(here, challenge=challenge)
            path, more = "/two-factor/verify-passkey", {"challenge": challenge}
        body = {"response": device.get(options), "ceremony": options["ceremony"], **more}
        answer = await here.api.http.post(BASE + path, json=body, headers=headers)
        accepted(answer)
        return str(answer.cookies.get("czo-auth.known_browser"))

    known = await sign_in("Mozilla/5.0 Firefox/140.0")
    reported = await mailed(here, account.email, "new_browser")
    assert ": Firefox\n" in reported.text
    secure_account_token(reported)
    await sign_in("Mozilla/5.0 Firefox/140.0")
    await sign_in("curl/8", f"czo-auth.known_browser={known}")
    await sign_in("Wget/1")
    assert ": Wget/1\n" in (await mailed(here, account.email, "new_browser", number=2)).text
    assert kinds(here, account).count("new_browser") == 2, "not the same program again, nor a known browser"
