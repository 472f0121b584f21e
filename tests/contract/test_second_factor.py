"""The second factor at sign-in, in a session, and turning it off (docs/reference/rest.md; S2, S3, S7)."""

from __future__ import annotations

from typing import Any

import pytest

from czo_auth.core.context import system_context
from tests.contract.api import CHALLENGE_COOKIE
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Account, Session

UNKNOWN = "czc_" + "A" * 43


async def disable(here: Deployment, account: Account, session: Session, **more: object) -> Any:
    body = {"password": account.password, **more}
    return await here.api.post("/two-factor/disable", body, bearer=session.token)


# --- finishing a sign-in ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/two-factor/verify", "/two-factor/verify-totp"])
async def test_right_code_finishes_the_sign_in(live: Live, path: str) -> None:
    """The same body as a plain sign-in, and `verified: true`."""
    account = live.enrolled_user
    challenge = await live.people.challenge(account)
    answer = await live.api.post(path, {"code": account.has.code(), "challenge": challenge})
    session = Session.of(answer)
    body = session.body
    assert (body["verified"], body["requires2FA"], body["requires2FASetup"]) == (True, False, False)
    assert (body["expiresIn"], body["tokenType"]) == (900, "Bearer")
    assert body["token"] == session.id
    assert (body["session"]["aal"], body["session"]["amr"]) == (2, ["pwd", "otp"])
    assert body["user"]["id"] == account.id
    assert await live.people.is_alive(session)


async def test_challenge_keeps_the_actor_type_of_the_route(live: Live) -> None:
    account, session = await live.people.newcomer("merchant")
    await live.people.enroll(account, session)
    for actor in ("merchant", "customer"):
        session = await live.people.sign_in(account, actor)
        assert session.body["session"]["actorType"] == actor


async def test_challenge_is_used_once(live: Live) -> None:
    account = live.enrolled_user
    challenge = await live.people.challenge(account)
    accepted(await live.people.verify(account.has.code(), challenge=challenge))
    for _ in range(2):
        answer = await live.people.verify(account.has.at(0), challenge=challenge)
        refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")


async def test_challenge_is_valid_for_five_minutes(timed: Timed) -> None:
    """S3."""
    early, late = await timed.people.challenge(timed.carol), await timed.people.challenge(timed.carol)
    timed.time.advance(minutes=4, seconds=59)
    accepted(await timed.people.verify(timed.carol.has.code(), challenge=early))
    timed.time.advance(seconds=1)
    answer = await timed.people.verify(timed.carol.has.at(1), challenge=late)
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")


@pytest.mark.parametrize("challenge", [UNKNOWN, "czc_", "nonsense", "czs_" + "A" * 43, UNKNOWN + "A", "é"])
async def test_unknown_challenge_is_401(live: Live, challenge: str) -> None:
    for path in ("/two-factor/verify", "/two-factor/verify-totp", "/two-factor/verify-backup-code"):
        answer = await live.api.post(path, {"code": "123456", "challenge": challenge})
        refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")


async def test_neither_session_nor_challenge_is_401(live_sqlite: Live) -> None:
    for path in ("/two-factor/verify", "/two-factor/verify-totp", "/two-factor/verify-backup-code"):
        refused(await live_sqlite.api.post(path, {"code": "123456"}), 401, "INVALID_TWO_FACTOR_COOKIE")


async def test_challenge_in_the_body_decides_over_a_session_sent_along(live: Live, carried: Any) -> None:
    """Contract 4."""
    account = live.enrolled_user
    stranger, theirs = await live.people.newcomer()
    challenge = await live.people.challenge(account)
    session = Session.of(await live.people.verify(account.has.code(), challenge=challenge, **carried(theirs)))
    assert session.body["user"]["id"] == account.id
    answer = await live.people.verify(account.has.at(0), challenge=UNKNOWN, **carried(session))
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")
    assert await live.people.is_alive(theirs)
    assert stranger.id != account.id


async def test_challenge_in_the_body_decides_over_the_cookie(live: Live) -> None:
    account = live.enrolled_user
    fresh, stale = await live.people.challenge(account), {CHALLENGE_COOKIE: UNKNOWN}
    accepted(await live.people.verify(account.has.code(), challenge=fresh, cookies=stale))


async def test_changed_credentials_kill_pending_challenges(timed: Timed) -> None:
    """S3: password change, 2FA change and ban bump the version that a challenge is bound to."""
    people, carol, now = timed.people, timed.carol, timed.clock()
    challenge = await people.challenge(carol)
    await timed.auth.administration.ban(carol.id, reason="test", context=system_context(now))
    refused(await people.verify(carol.has.at(0), challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")
    await timed.auth.administration.unban(carol.id, context=system_context(now))
    refused(await people.verify(carol.has.at(0), challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")

    session = await people.sign_in(carol)
    challenge = await people.challenge(carol)
    accepted(await disable(timed, carol, session))
    refused(await people.verify(carol.has.at(1), challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")


async def test_actor_type_that_was_lost_in_the_meantime_is_not_used(timed: Timed) -> None:
    account = timed.ada
    # Another administrator stays, or the right could not be taken away.
    await timed.promote(timed.carol)
    challenge = await timed.people.challenge(account, "admin")
    await timed.auth.administration.change_actor_types(
        account.id, add=[], remove=["admin"], context=system_context(timed.clock())
    )
    answer = await timed.people.verify(account.has.code(), challenge=challenge)
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")


# --- codes -----------------------------------------------------------------------------------------------------------
async def test_window_is_one_step_on_either_side(timed: Timed) -> None:
    """TOTP."""
    people, carol = timed.people, timed.carol
    for steps in (-2, 2):
        challenge = await people.challenge(carol)
        refused(await people.verify(carol.has.at(steps), challenge=challenge), 401, "INVALID_CODE")
    for steps in (-1, 0, 1):
        challenge = await people.challenge(carol)
        accepted(await people.verify(carol.has.at(steps), challenge=challenge))


@pytest.mark.parametrize(("drift", "outside"), [(0, 1), (3, 4)])
async def test_window_is_a_setting(deploy_sqlite: Deploy, drift: int, outside: int) -> None:
    here = await deploy_sqlite(totp_drift=drift)
    for steps in (-outside, outside):
        challenge = await here.people.challenge(here.carol)
        answer = await here.people.verify(here.carol.has.at(steps), challenge=challenge)
        refused(answer, 401, "INVALID_CODE")
    for steps in sorted({-drift, drift}):
        challenge = await here.people.challenge(here.carol)
        accepted(await here.people.verify(here.carol.has.at(steps), challenge=challenge))


async def test_step_is_accepted_once_ever(timed: Timed) -> None:
    """S2: A, B, A."""
    people, carol = timed.people, timed.carol
    first, second = carol.has.at(0), carol.has.at(1)

    async def tried(code: str) -> Any:
        return await people.verify(code, challenge=await people.challenge(carol))

    accepted(await tried(first))
    refused(await tried(first), 401, "INVALID_CODE")
    timed.time.advance(seconds=30)
    refused(await tried(first), 401, "INVALID_CODE")
    accepted(await tried(second))
    refused(await tried(first), 401, "INVALID_CODE")
    refused(await tried(second), 401, "INVALID_CODE")


async def test_step_before_the_last_accepted_one_is_refused(timed: Timed) -> None:
    """Only later than the last accepted one, and the step that matched is what is
    remembered."""
    people, carol = timed.people, timed.carol
    earlier, later = carol.has.at(0), carol.has.at(1)
    accepted(await people.verify(later, challenge=await people.challenge(carol)))
    refused(await people.verify(earlier, challenge=await people.challenge(carol)), 401, "INVALID_CODE")
    timed.time.advance(seconds=30)
    refused(await people.verify(later, challenge=await people.challenge(carol)), 401, "INVALID_CODE")
    accepted(await people.verify(carol.has.at(1), challenge=await people.challenge(carol)))


async def test_clock_that_jumps_back_opens_no_spent_step(timed: Timed) -> None:
    """S33."""
    people, carol = timed.people, timed.carol
    code = carol.has.at(0)
    accepted(await people.verify(code, challenge=await people.challenge(carol)))
    timed.time.advance(days=-1)
    for steps in (-1, 0, 1):
        answer = await people.verify(carol.has.at(steps), challenge=await people.challenge(carol))
        refused(answer, 401, "INVALID_CODE")
    timed.time.advance(days=1)
    refused(await people.verify(code, challenge=await people.challenge(carol)), 401, "INVALID_CODE")


async def test_code_is_spent_wherever_it_was_redeemed(timed: Timed) -> None:
    """S2: sign-in, step-up, disable: one step, one use."""
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    used_at_sign_in = carol.has.at(0)
    refused(await people.verify(used_at_sign_in, bearer=session.token), 401, "INVALID_CODE")
    code = carol.has.at(1)
    session = Session.of(await people.verify(code, bearer=session.token))
    refused(await people.verify(code, challenge=await people.challenge(carol)), 401, "INVALID_CODE")
    refused(await disable(timed, carol, session, code=code), 401, "INVALID_CODE")


@pytest.mark.parametrize("spelling", ["{0}{1} {2}", " {0}{1}{2} ", "{0}{1}-{2}", "{0} {1} {2}"])
async def test_spaces_and_dashes_in_a_code_do_not_matter(timed_sqlite: Timed, spelling: str) -> None:
    challenge = await timed_sqlite.people.challenge(timed_sqlite.carol)
    code = timed_sqlite.carol.has.code()
    spelled = spelling.format(code[:2], code[2:3], code[3:])
    accepted(await timed_sqlite.people.verify(spelled, challenge=challenge))


async def test_digits_of_other_scripts_are_no_digits(timed_sqlite: Timed) -> None:
    """S26: `isdigit`, `int` and `\\d` take them."""
    people, carol = timed_sqlite.people, timed_sqlite.carol
    right = carol.has.at(0)
    zeros = [0x0660, 0x0966, 0xFF10, 0x1D7CE]
    spelled = ["".join(chr(zero + int(digit)) for digit in right) for zero in zeros]
    spelled += [right + "\n", "\n" + right, right + "\t", "+" + right, right[:5], "0" + right, right + "0"]
    spelled += [right.replace(right[0], f"{right[0]}\u200b", 1), f"{int(right)}.0", f"{int(right):#x}"]
    for text in spelled:
        challenge = await people.challenge(carol)
        answer = await people.verify(text, challenge=challenge)
        if answer.status_code == 429:
            timed_sqlite.time.advance(hours=2)
            right_then = carol.has.at(0)
            assert text != right_then
            answer = await people.verify(text, challenge=await people.challenge(carol))
        refused(answer, 401, "INVALID_CODE")


async def test_backup_code_is_no_totp_code_and_the_other_way_round(live: Live) -> None:
    account = live.enrolled_user
    challenge = await live.people.challenge(account)
    refused(await live.people.verify(account.codes[0], challenge=challenge), 401, "INVALID_CODE")
    refused(await live.people.redeem(account.has.at(0), challenge=challenge), 401, "INVALID_BACKUP_CODE")
    accepted(await live.people.redeem(account.codes.pop(0), challenge=challenge))


# --- five attempts ---------------------------------------------------------------------------------------------------
async def test_fifth_wrong_code_kills_the_challenge(timed: Timed) -> None:
    """The next try is 400, later ones 401, even with a right code; one budget for both
    kinds of code."""
    people, carol = timed.people, timed.carol
    challenge = await people.challenge(carol)
    wrong_backup = "0000-00000-00000-0000"
    for number in range(5):
        if number % 2:
            answer = await people.redeem(wrong_backup, challenge=challenge)
            refused(answer, 401, "INVALID_BACKUP_CODE")
        else:
            answer = await people.verify(carol.has.wrong(), challenge=challenge)
            refused(answer, 401, "INVALID_CODE")
    right = carol.has.code()
    refused(await people.verify(right, challenge=challenge), 400, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE")
    for _ in range(2):
        refused(await people.verify(right, challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")
    refused(await people.redeem(carol.codes[0], challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")
    accepted(await people.verify(right, challenge=await people.challenge(carol)))


async def test_right_code_at_the_fifth_attempt_is_right(timed: Timed) -> None:
    people, carol = timed.people, timed.carol
    challenge = await people.challenge(carol)
    for _ in range(4):
        refused(await people.verify(carol.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    accepted(await people.verify(carol.has.code(), challenge=challenge))


# --- step-up ---------------------------------------------------------------------------------------------------------
async def test_step_up_renews_the_session(timed: Timed, carried: Any) -> None:
    """Contract 4, *renewed*."""
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    other = await people.sign_in(carol)
    timed.time.advance(minutes=2)
    stepped = Session.of(await people.verify(carol.has.code(), **carried(session)))
    assert stepped.body["verified"] is True
    assert stepped.id != session.id
    assert not await people.is_alive(session)
    refusal = await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(refusal, 401, "INVALID_REFRESH_TOKEN")
    assert await people.is_alive(other), "the others go on"
    assert stepped.body["session"]["authTime"] == session.body["session"]["authTime"]


async def test_step_up_without_a_factor_is_400(live: Live) -> None:
    _, session = await live.people.newcomer()
    refused(await live.people.verify("123456", bearer=session.token), 400, "TOTP_NOT_ENABLED")
    refused(await live.people.redeem("0" * 18, bearer=session.token), 400, "TOTP_NOT_ENABLED")


# --- turning it off --------------------------------------------------------------------------------------------------
async def test_disable_turns_everything_off_and_the_session_stays_valid(timed: Timed) -> None:
    """The session that disables goes on with `aal` 1, the others end."""
    people, carol = timed.people, timed.carol
    other = await people.sign_in(carol)
    timed.time.advance(seconds=30)
    session = await people.sign_in(carol)
    challenge = await people.challenge(carol)
    assert accepted(await disable(timed, carol, session)) == {"status": True}
    shown = accepted(await timed.api.get("/session", bearer=session.token))
    assert (shown["session"]["id"], shown["session"]["aal"]) == (session.id, 1)
    assert shown["user"]["twoFactorEnabled"] is False
    assert not await people.is_alive(other)
    state = await people.two_factor(session)
    assert (state["enabled"], state["backupCodesRemaining"], state["methods"]) == (False, 0, [])
    refused(await people.redeem(carol.codes[0], challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")
    assert accepted(await people.begin(carol))["requires2FA"] is False
    refused(await disable(timed, carol, session), 400, "TWO_FACTOR_NOT_ENABLED")


async def test_disable_needs_the_password_first(timed: Timed) -> None:
    """A wrong password is found first and spends no code."""
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    timed.time.advance(minutes=1)
    code = carol.has.code()
    answer = await timed.api.post(
        "/two-factor/disable", {"password": "not the password", "code": code}, bearer=session.token
    )
    refused(answer, 400, "INVALID_PASSWORD")
    answer = await timed.api.post("/two-factor/disable", {"code": code}, bearer=session.token)
    assert answer.status_code in (400, 403)
    timed.time.advance(minutes=-1, seconds=60)
    accepted(await disable(timed, carol, session, code=code))


@pytest.mark.parametrize("how", ["totp", "backup code", "step-up"])
async def test_disable_after_ten_minutes_needs_the_factor_again(timed: Timed, how: str) -> None:
    """S7."""
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    timed.time.advance(minutes=10)
    accepted(await timed.api.get("/session", bearer=session.token))
    timed.time.advance(seconds=1)
    refused(await disable(timed, carol, session), 403, "REAUTHENTICATION_REQUIRED")
    refused(await disable(timed, carol, session, code=carol.has.wrong()), 401, "INVALID_CODE")
    assert (await people.two_factor(session))["enabled"] is True
    match how:
        case "totp":
            accepted(await disable(timed, carol, session, code=carol.has.code()))
        case "backup code":
            accepted(await disable(timed, carol, session, code=carol.codes[0]))
        case _:
            stepped = Session.of(await people.verify(carol.has.code(), bearer=session.token))
            accepted(await disable(timed, carol, stepped))


async def test_disable_within_ten_minutes_of_the_sign_in_needs_no_code(timed: Timed) -> None:
    session = await timed.people.sign_in(timed.carol)
    timed.time.advance(minutes=10)
    accepted(await disable(timed, timed.carol, session))


async def test_switching_actor_types_does_not_make_an_old_proof_young(timed: Timed) -> None:
    account = timed.ada
    session = await timed.people.sign_in(account, "admin")
    timed.time.advance(minutes=11)
    switched = Session.of(
        await timed.api.post("/switch-actor", {"actorType": "customer"}, bearer=session.token)
    )
    body = {"password": account.password}
    answer = await timed.api.post("/two-factor/generate-backup-codes", body, bearer=switched.token)
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")


async def test_new_enrollment_after_a_disable_starts_from_nothing(live: Live) -> None:
    account, session = await live.people.enrolled()
    old_phone, old_codes = account.has, account.codes
    accepted(await disable(live, account, session))
    session = await live.people.enroll(account, session)
    challenge = await live.people.challenge(account)
    refused(await live.people.verify(old_phone.code(), challenge=challenge), 401, "INVALID_CODE")
    refused(await live.people.redeem(old_codes[0], challenge=challenge), 401, "INVALID_BACKUP_CODE")
    accepted(await live.people.verify(account.has.code(), challenge=challenge))
