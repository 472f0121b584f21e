"""Attacks on turning the second factor on, over and off (S6, S7, S8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.attacks.conftest import Graph, output_of
from tests.contract.acting import create_key
from tests.contract.checks import refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import Account, Phone, Session

pytestmark = pytest.mark.deep

AccountAndSession = tuple[Account, Session]
CHANGES = {
    "disable": ("/two-factor/disable", {}),
    "regenerate": ("/two-factor/generate-backup-codes", {}),
    "replace": ("/two-factor/enable", {"replace": True}),
}
"""What a thief of a session wants: to be rid of the factor, or to have their own."""


@pytest.fixture
async def newcomer(live: Live) -> AccountAndSession:
    return await live.people.newcomer()


# --- what is pending is no factor ------------------------------------------------------------------------------------
async def test_pending_codes_as_factor(live: Live, newcomer: AccountAndSession) -> None:
    account, session = newcomer
    await live.people.enable(account, session)
    answer = await live.people.redeem(account.codes[0], bearer=session.token)
    refused(answer, 400, "TOTP_NOT_ENABLED")
    body = {"password": account.password, "code": account.has.code()}
    refused(
        await live.api.post("/two-factor/disable", body, bearer=session.token), 400, "TWO_FACTOR_NOT_ENABLED"
    )


async def test_backup_code_as_confirmation(live: Live, newcomer: AccountAndSession) -> None:
    account, session = newcomer
    await live.people.enable(account, session)
    answer = await live.people.verify(account.codes[0], bearer=session.token)
    refused(answer, 401, "INVALID_CODE")
    assert (await live.people.two_factor(session))["enabled"] is False


async def test_secret_of_an_enrollment_that_was_begun_again(live: Live, newcomer: AccountAndSession) -> None:
    account, session = newcomer
    await live.people.enable(account, session)
    first = account.has
    await live.people.enable(account, session)
    refused(await live.people.verify(first.code(), bearer=session.token), 401, "INVALID_CODE")


async def test_pending_replacement_at_sign_in(live: Live, enrolled_user: AccountAndSession) -> None:
    account, session = enrolled_user
    old_phone, old_codes = account.has, account.codes
    await live.people.enable(account, session, replace=True)
    challenge = await live.people.challenge(account)
    refused(await live.people.verify(account.has.code(), challenge=challenge), 401, "INVALID_CODE")
    refused(await live.people.redeem(account.codes[0], challenge=challenge), 401, "INVALID_BACKUP_CODE")
    Session.of(await live.people.verify(old_phone.code(), challenge=challenge))
    challenge = await live.people.challenge(account)
    Session.of(await live.people.redeem(old_codes[0], challenge=challenge))


async def test_pending_enrollment_left_behind_by_a_thief(live: Live, newcomer: AccountAndSession) -> None:
    """Who held the session before a password change cannot confirm afterwards."""
    account, session = newcomer
    await live.people.enable(account, session)
    body = {"currentPassword": account.password, "newPassword": "another battery staple"}
    renewed = await live.api.post("/change-password", body, bearer=session.token)
    token = renewed.headers["set-auth-token"]
    refused(
        await live.people.verify(account.has.code(), bearer=session.token), 401, "INVALID_TWO_FACTOR_COOKIE"
    )
    refused(await live.people.verify(account.has.code(), bearer=token), 400, "TOTP_NOT_ENABLED")


async def test_expired_enrollment(live: Live, newcomer: AccountAndSession) -> None:
    account, session = newcomer
    await live.people.enable(account, session)
    url = live.served.database_url
    await sql(url, "UPDATE {}enrolments SET expires_at = created_at WHERE user_id = $1", account.id)
    refused(await live.people.verify(account.has.code(), bearer=session.token), 400, "TOTP_NOT_ENABLED")


# --- someone else's -------------------------------------------------------------------------------------------------
async def test_confirming_without_a_session(live: Live, newcomer: AccountAndSession) -> None:
    account, session = newcomer
    await live.people.enable(account, session)
    refused(await live.people.verify(account.has.code()), 401, "INVALID_TWO_FACTOR_COOKIE")


async def test_confirming_with_somebody_elses_code(
    live: Live, newcomer: AccountAndSession, victim: Account
) -> None:
    account, session = newcomer
    await live.people.enable(account, session)
    refused(await live.people.verify(victim.has.code(), bearer=session.token), 401, "INVALID_CODE")


@pytest.mark.parametrize("field", ["userId", "user_id", "ownerId", "secret", "twoFactorEnabled", "aal"])
async def test_enrolling_for_somebody_else(
    live: Live, newcomer: AccountAndSession, victim: Account, field: str
) -> None:
    body = {"password": newcomer[0].password, field: victim.id}
    answer = await live.api.post("/two-factor/enable", body, bearer=newcomer[1].token)
    refused(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ["/two-factor/enable", "/two-factor/disable", "/two-factor/get-totp-uri"])
async def test_api_key_touching_the_factor(live: Live, newcomer: AccountAndSession, path: str) -> None:
    key = (await create_key(live.api, newcomer[1]))["key"]
    body = {"password": newcomer[0].password}
    refused(await live.api.post(path, body, bearer=key), 403, "SESSION_REQUIRED")


# --- with a stolen session -------------------------------------------------------------------------------------------
async def test_enrolling_with_a_wrong_password(live: Live, newcomer: AccountAndSession) -> None:
    body = {"password": "not the password"}
    answer = await live.api.post("/two-factor/enable", body, bearer=newcomer[1].token)
    refused(answer, 400, "INVALID_PASSWORD")
    assert (await live.people.two_factor(newcomer[1]))["pending"] is False


async def test_enrolling_without_a_password_in_an_old_session(
    live: Live, newcomer: AccountAndSession
) -> None:
    _, session = newcomer
    await put_back(live, session, "auth_time")
    answer = await live.api.post("/two-factor/enable", {}, bearer=session.token)
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")


async def put_back(live: Live, session: Session, column: str) -> None:
    """Let what *column* tells the time of have happened an hour earlier."""
    url = live.served.database_url
    ((value,),) = await sql(url, f"SELECT {column} FROM {{}}sessions WHERE id = $1", session.id)
    hour: Any = timedelta(hours=1)
    if isinstance(value, int):
        hour = 3_600_000_000 if value > 10**15 else 3_600_000
    await sql(url, f"UPDATE {{}}sessions SET {column} = $1 WHERE id = $2", value - hour, session.id)


@pytest.mark.parametrize("name", CHANGES)
async def test_change_without_a_password(live: Live, victim: Account, name: str) -> None:
    session = await live.people.sign_in(victim)
    path, more = CHANGES[name]
    body = {**more, "code": victim.has.code()}
    refused(await live.api.post(path, body, bearer=session.token), 403, "REAUTHENTICATION_REQUIRED")


@pytest.mark.parametrize("name", CHANGES)
async def test_change_with_a_wrong_password(live: Live, victim: Account, name: str) -> None:
    session = await live.people.sign_in(victim)
    path, more = CHANGES[name]
    code = victim.has.code()
    body = {**more, "password": "not the password", "code": code}
    refused(await live.api.post(path, body, bearer=session.token), 400, "INVALID_PASSWORD")
    Session.of(await live.people.verify(code, bearer=session.token))


@pytest.mark.parametrize("name", CHANGES)
async def test_change_long_after_the_second_factor(live: Live, victim: Account, name: str) -> None:
    session = await live.people.sign_in(victim)
    await put_back(live, session, "factor_proved_at")
    path, more = CHANGES[name]
    body = {**more, "password": victim.password}
    refused(await live.api.post(path, body, bearer=session.token), 403, "REAUTHENTICATION_REQUIRED")


@pytest.mark.parametrize("name", CHANGES)
async def test_change_with_a_spent_code(live: Live, victim: Account, name: str) -> None:
    code = victim.has.code()
    challenge = await live.people.challenge(victim)
    session = Session.of(await live.people.verify(code, challenge=challenge))
    path, more = CHANGES[name]
    body = {**more, "password": victim.password, "code": code}
    refused(await live.api.post(path, body, bearer=session.token), 401, "INVALID_CODE")


async def test_enabling_again_over_an_active_factor(live: Live, victim: Account) -> None:
    session = await live.people.sign_in(victim)
    answer = await live.api.post("/two-factor/enable", {"password": victim.password}, bearer=session.token)
    refused(answer, 400, "TOTP_ALREADY_ENABLED")


async def test_session_stolen_before_the_second_factor(live: Live, newcomer: AccountAndSession) -> None:
    """It never becomes one with two factors, nor does its refresh token or access token."""
    account, stolen = newcomer
    elsewhere = await live.people.sign_in(account)
    renewed = await live.people.enroll(account, stolen)
    assert renewed.body["session"]["aal"] == 2
    for session in (stolen, elsewhere):
        assert not await live.people.is_alive(session)
        answer = await live.api.post("/token/refresh", {"refreshToken": session.refresh_token})
        refused(answer, 401, "INVALID_REFRESH_TOKEN")


async def test_session_stolen_before_step_up(live: Live, victim: Account) -> None:
    stolen = await live.people.sign_in(victim)
    Session.of(await live.people.verify(victim.has.code(), bearer=stolen.token))
    assert not await live.people.is_alive(stolen)


async def test_guessing_the_confirmation(live: Live, newcomer: AccountAndSession) -> None:
    account, session = newcomer
    await live.people.enable(account, session)
    for _ in range(10):
        answer = await live.people.verify(account.has.wrong(), bearer=session.token)
        refused(answer, 401, "INVALID_CODE")
    answer = await live.people.verify(account.has.code(), bearer=session.token)
    refused(answer, 429, "ACCOUNT_TEMPORARILY_LOCKED")


async def test_begun_again_for_more_guesses(live: Live, newcomer: AccountAndSession) -> None:
    account, session = newcomer
    for _ in range(2):
        await live.people.enable(account, session)
        for _ in range(5):
            answer = await live.people.verify(account.has.wrong(), bearer=session.token)
            refused(answer, 401, "INVALID_CODE")
    answer = await live.people.verify(account.has.code(), bearer=session.token)
    refused(answer, 429, "ACCOUNT_TEMPORARILY_LOCKED")


async def test_administrator_turning_it_off(live: Live, root: Session) -> None:
    answer = await live.api.post(
        "/two-factor/disable", {"password": "correct horse battery staple"}, bearer=root.token
    )
    refused(answer, 409, "TWO_FACTOR_REQUIRED_BY_POLICY")


# --- reading the secret again ----------------------------------------------------------------------------------------
async def test_reading_an_active_secret(live: Live, victim: Account, graph: Graph) -> None:
    session = await live.people.sign_in(victim)
    body = {"password": victim.password}
    answer = await live.api.post("/two-factor/get-totp-uri", body, bearer=session.token)
    refused(answer, 403, "TOTP_ALREADY_ENABLED")
    reported = "".join(
        [
            (await live.api.get(path, bearer=session.token)).text
            for path in ("/two-factor", "/session", "/sessions")
        ]
    )
    assert victim.has.secret not in reported
    assert not any(code in reported for code in victim.codes)
    for field in ("secret", "totpSecret", "backupCodes", "twoFactorSecret", "passwordHash"):
        answer = await graph(f"{{ me {{ {field} }} }}", session.token)
        assert answer.status_code == 400, answer.text


async def test_reading_a_pending_secret_with_a_wrong_password(
    live: Live, newcomer: AccountAndSession
) -> None:
    await live.people.enable(*newcomer)
    body = {"password": "not the password"}
    answer = await live.api.post("/two-factor/get-totp-uri", body, bearer=newcomer[1].token)
    refused(answer, 400, "INVALID_PASSWORD")


async def test_looking_for_secrets_in_what_the_server_writes(
    live: Live, enrolled_user: AccountAndSession
) -> None:
    account, session = enrolled_user
    key = (await create_key(live.api, session))["key"]
    await live.api.http.get(f"/api/auth/whoami?key={key}&code={account.codes[0]}")
    await live.people.redeem(account.codes[1], challenge=await live.people.challenge(account))
    written = output_of(live.served)
    secrets = [
        account.has.secret,
        *account.codes,
        account.password,
        key,
        session.token,
        session.refresh_token,
    ]
    assert [secret for secret in secrets if secret in written] == []


async def test_row_of_another_users_factor(
    live: Live, enrolled_user: AccountAndSession, victim: Account
) -> None:
    """Who can write to the database, but has no key, cannot give their own secret to somebody else (S12, S13)."""
    url = live.served.database_url
    mine = await sql(url, "SELECT sealed_secret FROM {}factors WHERE user_id = $1", enrolled_user[0].id)
    theirs = await sql(url, "SELECT sealed_secret FROM {}factors WHERE user_id = $1", victim.id)
    put = "UPDATE {}factors SET sealed_secret = $1 WHERE user_id = $2"
    await sql(url, put, mine[0][0], victim.id)
    try:
        challenge = await live.people.challenge(victim)
        phone = Phone(enrolled_user[0].has.secret, live.clock, drift=live.people.drift)
        refused(await live.people.verify(phone.code(), challenge=challenge), 503, "SERVICE_UNAVAILABLE")
        Session.of(await live.people.redeem(victim.codes.pop(), challenge=challenge))
    finally:
        await sql(url, put, theirs[0][0], victim.id)
