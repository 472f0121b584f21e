"""Wrong codes lock the account's second factors (docs/reference/rest.md; S4)."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from czo_auth.core.events.types import AuditFilter
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Timed
from tests.contract.test_passwords_and_mail import confirm_address

WRONG_BACKUP = "0000-00000-00000-0000"
LOCKED = "ACCOUNT_TEMPORARILY_LOCKED"


async def fail(here: Timed, times: int = 10) -> None:
    """Send wrong codes at sign-in, with as many challenges as that takes; the last one locks."""
    for number in range(times):
        if number % 5 == 0:
            challenge = await here.people.challenge(here.carol)
        answer = await here.people.verify(here.carol.has.wrong(), challenge=challenge)
        refused(answer, 401, "INVALID_CODE")


async def right(here: Timed) -> Answer:
    """Sign in with a right code."""
    return await here.people.verify(here.carol.has.at(0), challenge=await here.people.challenge(here.carol))


async def test_ten_wrong_codes_lock_for_15_30_60_and_60_minutes_and_then_for_good(timed: Timed) -> None:
    for minutes in (15, 30, 60, 60):
        await fail(timed)
        body = refused(await right(timed), 429, LOCKED)
        assert body["retryAfter"] == minutes * 60
        timed.time.advance(minutes=minutes, seconds=-1)
        body = refused(await right(timed), 429, LOCKED)
        assert body["retryAfter"] == 1
        timed.time.advance(seconds=1)
    await fail(timed)
    body = refused(await right(timed), 429, LOCKED)
    assert "retryAfter" not in body
    timed.time.advance(days=365)
    assert "retryAfter" not in refused(await right(timed), 429, LOCKED)


async def test_right_code_unlocks_nothing_while_locked_and_is_not_spent(timed: Timed) -> None:
    await fail(timed)
    timed.time.advance(minutes=14, seconds=59)
    challenge = await timed.people.challenge(timed.carol)
    code = timed.carol.has.at(1)
    refused(await timed.people.verify(code, challenge=challenge), 429, LOCKED)
    backup = timed.carol.codes[0]
    refused(await timed.people.redeem(backup, challenge=challenge), 429, LOCKED)
    timed.time.advance(seconds=1)
    accepted(await timed.people.verify(code, challenge=challenge))
    accepted(await timed.people.redeem(backup, challenge=await timed.people.challenge(timed.carol)))


async def test_try_while_locked_costs_the_challenge_nothing(timed: Timed) -> None:
    await fail(timed)
    timed.time.advance(minutes=14)
    challenge = await timed.people.challenge(timed.carol)
    for _ in range(10):
        refused(await timed.people.verify(timed.carol.has.wrong(), challenge=challenge), 429, LOCKED)
    timed.time.advance(minutes=1)
    accepted(await timed.people.verify(timed.carol.has.code(), challenge=challenge))


async def test_both_kinds_of_code_share_one_budget(timed: Timed) -> None:
    for number in range(10):
        if number % 5 == 0:
            challenge = await timed.people.challenge(timed.carol)
        if number % 2:
            refused(await timed.people.redeem(WRONG_BACKUP, challenge=challenge), 401, "INVALID_BACKUP_CODE")
        else:
            refused(
                await timed.people.verify(timed.carol.has.wrong(), challenge=challenge), 401, "INVALID_CODE"
            )
    refused(await right(timed), 429, LOCKED)


async def test_every_place_that_takes_a_code_counts(timed: Timed) -> None:
    """S4: sign-in, step-up, disable and regenerate: a guess is a guess."""
    people, carol, api = timed.people, timed.carol, timed.api
    session = await people.sign_in(carol)
    body = {"password": carol.password, "code": carol.has.wrong()}
    for _ in range(2):
        refused(await people.verify(carol.has.wrong(), bearer=session.token), 401, "INVALID_CODE")
        refused(await people.redeem(WRONG_BACKUP, bearer=session.token), 401, "INVALID_BACKUP_CODE")
        for path in ("/two-factor/disable", "/two-factor/generate-backup-codes"):
            refused(await api.post(path, body, bearer=session.token), 401, "INVALID_CODE")
        answer = await api.post("/two-factor/enable", {**body, "replace": True}, bearer=session.token)
        refused(answer, 401, "INVALID_CODE")
    refused(await people.verify(carol.has.code(), bearer=session.token), 429, LOCKED)
    for path in ("/two-factor/disable", "/two-factor/generate-backup-codes"):
        refused(await api.post(path, body, bearer=session.token), 429, LOCKED)
    refused(await right(timed), 429, LOCKED)


async def test_wrong_codes_at_enrollment_count_too(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    await timed.people.enable(account, session)
    for _ in range(10):
        refused(await timed.people.verify(account.has.wrong(), bearer=session.token), 401, "INVALID_CODE")
    body = refused(await timed.people.verify(account.has.code(), bearer=session.token), 429, LOCKED)
    assert body["retryAfter"] == 900
    timed.time.advance(minutes=15)
    await timed.people.enroll(account, session)


async def test_code_that_was_spent_before_counts_as_a_wrong_one(timed: Timed) -> None:
    code = timed.carol.has.code()
    accepted(await timed.people.verify(code, challenge=await timed.people.challenge(timed.carol)))
    for number in range(10):
        if number % 5 == 0:
            challenge = await timed.people.challenge(timed.carol)
        refused(await timed.people.verify(code, challenge=challenge), 401, "INVALID_CODE")
    refused(await right(timed), 429, LOCKED)


async def test_success_starts_the_count_again(timed: Timed) -> None:
    """Ten *consecutive* failures."""
    for _ in range(3):
        await fail(timed, 9)
        accepted(await right(timed))
        timed.time.advance(minutes=1)
    await fail(timed, 10)
    body = refused(await right(timed), 429, LOCKED)
    assert body["retryAfter"] == 900, "and the locks begin with the first one again"


async def test_lock_grows_over_challenges_days_and_sessions(timed: Timed) -> None:
    """Waiting between guesses buys nothing: only a right code forgets them."""
    for _ in range(9):
        await fail(timed, 1)
        timed.time.advance(days=1)
    await fail(timed, 1)
    refused(await right(timed), 429, LOCKED)


async def test_stranger_without_the_password_locks_nobody(timed: Timed) -> None:
    """S4: failures count only after the right password."""
    for _ in range(12):
        for challenge in ("czc_" + "A" * 43, "nonsense"):
            answer = await timed.people.verify(timed.carol.has.wrong(), challenge=challenge)
            refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")
    accepted(await right(timed))


async def test_sessions_and_keys_keep_working_while_locked(timed: Timed) -> None:
    """S4."""
    session = await timed.people.sign_in(timed.carol)
    created = await timed.api.post("/api-keys", {"name": "k"}, bearer=session.token)
    key = accepted(created, 201)["apiKey"]["key"]
    timed.time.advance(minutes=1)
    await fail(timed)
    assert await timed.people.is_alive(session)
    accepted(await timed.api.get("/whoami", bearer=key))
    accepted(await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token}))


async def test_lock_of_one_account_is_nobody_elses(timed: Timed) -> None:
    await fail(timed)
    await timed.people.sign_in(timed.ada, "admin")


async def test_other_process_does_not_forget(deploy: Deploy) -> None:
    """S31: caps and locks live in the database."""
    one = await deploy()
    other = await deploy(one.auth.settings.database_url)
    challenge = await one.people.challenge(one.carol)
    for here in (one, other, one, other, one):
        refused(await here.people.verify(one.carol.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    answer = await other.people.verify(one.carol.has.code(), challenge=challenge)
    refused(answer, 400, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE")
    await fail(other, 5)
    refused(await right(one), 429, LOCKED)


async def test_password_reset_lifts_the_stop_and_no_lock(timed: Timed) -> None:
    """Contract 3 and 4: or a mailbox would buy unlimited guesses."""
    # A reset that proves an address for the first time would end the factor itself (test_squatted_address.py).
    await confirm_address(timed, timed.carol)

    async def reset(password: str) -> None:
        accepted(await timed.api.post("/request-password-reset", {"email": timed.carol.email}))
        token = await timed.mail.token(timed.carol.email, "password_reset")
        timed.mail.messages.clear()
        accepted(await timed.api.post("/reset-password", {"token": token, "newPassword": password}))
        timed.carol.password = password

    await fail(timed)
    await reset("the first new passphrase")
    refused(await right(timed), 429, LOCKED)
    for minutes in (15, 30, 60, 60):
        timed.time.advance(minutes=minutes)
        await fail(timed)
    assert "retryAfter" not in refused(await right(timed), 429, LOCKED)
    await reset("the second new passphrase")
    accepted(await right(timed))


async def test_administrator_lifts_the_stop_by_a_reset(timed: Timed) -> None:
    await fail(timed)
    for minutes in (15, 30, 60, 60):
        timed.time.advance(minutes=minutes)
        await fail(timed)
    admin = await timed.people.sign_in(timed.ada, "admin")
    answer = await timed.api.delete(
        f"/admin/users/{timed.carol.id}/two-factor", {"reason": "lost"}, bearer=admin.token
    )
    accepted(answer, 204)
    timed.carol.phone = None
    session = await timed.people.sign_in(timed.carol)
    await timed.people.enroll(timed.carol, session)


async def test_lock_is_recorded_and_reported_as_an_event(timed: Timed) -> None:
    """By docs/reference/rest.md: `auth.2fa.locked`."""
    await fail(timed)
    records, _ = await timed.auth.administration.audit(
        AuditFilter(user_id=timed.carol.id, action="auth.2fa.locked"), limit=10
    )
    assert len(records) == 1
    wrong, _ = await timed.auth.administration.audit(
        AuditFilter(user_id=timed.carol.id, action="auth.2fa.code"), limit=50
    )
    assert len(wrong) == 10


@pytest.mark.deep
async def test_retry_after_is_rounded_up(timed: Timed) -> None:
    await fail(timed)
    timed.time.advance(minutes=3, milliseconds=1)
    left = timedelta(minutes=12) - timedelta(milliseconds=1)
    body = refused(await right(timed), 429, LOCKED)
    assert body["retryAfter"] == math.ceil(left.total_seconds())


async def test_locks_hold_where_the_coarse_limits_are_off(live: Live) -> None:
    """They are never switched off."""
    account, session = await live.people.newcomer()
    await live.people.enable(account, session)
    for _ in range(10):
        refused(await live.people.verify(account.has.wrong(), bearer=session.token), 401, "INVALID_CODE")
    answer = await live.people.verify(account.has.code(), bearer=session.token)
    refused(answer, 429, LOCKED)
