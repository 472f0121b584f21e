"""Backup codes (docs/reference/rest.md; S5, S7)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from czo_auth.core.events.types import AuditFilter
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Account, Session


async def generate(here: Deployment, account: Account, session: Session, **more: object) -> Any:
    body = {"password": account.password, **more}
    return await here.api.post("/two-factor/generate-backup-codes", body, bearer=session.token)


async def test_backup_code_signs_in_once(timed: Timed) -> None:
    people, carol = timed.people, timed.carol
    session = Session.of(await people.redeem(carol.codes[0], challenge=await people.challenge(carol)))
    assert session.body["verified"] is True
    assert (session.body["session"]["aal"], session.body["session"]["amr"]) == (2, ["pwd", "bkp"])
    assert (await people.two_factor(session))["backupCodesRemaining"] == 9
    for _ in range(2):
        answer = await people.redeem(carol.codes[0], challenge=await people.challenge(carol))
        refused(answer, 401, "INVALID_BACKUP_CODE")
    records, _ = await timed.auth.administration.audit(
        AuditFilter(user_id=carol.id, action="auth.2fa.backup_code_used"), limit=10
    )
    assert len(records) == 1


async def test_all_ten_work_in_any_order(timed: Timed) -> None:
    people, carol = timed.people, timed.carol
    session = None
    for code in reversed(carol.codes):
        session = Session.of(await people.redeem(code, challenge=await people.challenge(carol)))
    assert session is not None
    assert (await people.two_factor(session))["backupCodesRemaining"] == 0
    await people.sign_in(carol)


@pytest.mark.parametrize(
    "spelling",
    [
        lambda code: code.lower(),
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", " "),
        lambda code: f"  {code}  ",
        lambda code: code.replace("-", " - "),
        lambda code: code.replace("1", "l").replace("0", "o").lower(),
        lambda code: code.replace("1", "I").replace("0", "O"),
    ],
)
async def test_case_spaces_and_dashes_do_not_matter(timed_sqlite: Timed, spelling: Any) -> None:
    """Input is normalized."""
    people, carol = timed_sqlite.people, timed_sqlite.carol
    accepted(await people.redeem(spelling(carol.codes[0]), challenge=await people.challenge(carol)))


async def test_almost_right_codes_are_wrong(timed_sqlite: Timed) -> None:
    people, carol = timed_sqlite.people, timed_sqlite.carol
    code, other = carol.codes[0], carol.codes[1]
    mixed = code[:4] + other[4:]
    last = "A" if code[-1] != "A" else "B"
    wrong = [mixed, code[:-1], code[:-1] + last, code + "0", code[5:], code[:4], "\uff10" * 18, "*" * 21]
    for number, text in enumerate(wrong):
        if number % 4 == 0:
            challenge = await people.challenge(carol)
        refused(await people.redeem(text, challenge=challenge), 401, "INVALID_BACKUP_CODE")
    accepted(await people.redeem(code, challenge=await people.challenge(carol)))


async def test_code_of_somebody_else_is_wrong(timed: Timed) -> None:
    people = timed.people
    answer = await people.redeem(timed.ada.codes[0], challenge=await people.challenge(timed.carol))
    refused(answer, 401, "INVALID_BACKUP_CODE")
    accepted(await people.redeem(timed.ada.codes[0], challenge=await people.challenge(timed.ada, "admin")))


async def test_backup_code_steps_up_a_session(timed: Timed) -> None:
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    stepped = Session.of(await people.redeem(carol.codes[0], bearer=session.token))
    assert stepped.body["session"]["amr"] == ["pwd", "bkp"]
    assert not await people.is_alive(session)


async def test_code_is_not_spent_when_the_sign_in_fails(timed: Timed) -> None:
    """S30: a code is used if and only if its session exists."""
    people, carol = timed.people, timed.carol
    answer = await people.redeem(carol.codes[0], challenge="czc_" + "A" * 43)
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")
    challenge = await people.challenge(carol)
    timed.time.advance(minutes=5)
    refused(await people.redeem(carol.codes[0], challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")
    accepted(await people.redeem(carol.codes[0], challenge=await people.challenge(carol)))


@pytest.mark.deep
@pytest.mark.real_hashes
async def test_unknown_code_takes_the_time_of_a_known_one(timed_sqlite: Timed) -> None:
    """S5: exactly one bcrypt, on a dummy where there is no row. The shortest of several tries counts."""
    people = timed_sqlite.people
    # The prepared people's codes are hashed at the least cost.
    account, _ = await people.enrolled()
    known = account.codes[0]
    wrong = known[:-1] + ("A" if known[-1] != "A" else "B")
    times: dict[str, list[float]] = {wrong: [], "0000-00000-00000-0000": []}
    for _ in range(4):
        for text, taken in times.items():
            challenge = await people.challenge(account)
            began = time.perf_counter()
            answer = await people.redeem(text, challenge=challenge)
            taken.append(time.perf_counter() - began)
            refused(answer, 401, "INVALID_BACKUP_CODE")
    of_known, of_unknown = (min(taken) for taken in times.values())
    assert of_unknown > of_known / 2
    await people.sign_in(account)


# --- a new set -------------------------------------------------------------------------------------------------------
async def test_new_codes_replace_the_old_ones(timed: Timed) -> None:
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    accepted(await people.redeem(carol.codes[1], challenge=await people.challenge(carol)))
    body = accepted(await generate(timed, carol, session))
    assert set(body) == {"status", "backupCodes"}
    assert body["status"] is True
    assert len(set(body["backupCodes"])) == 10
    assert not set(body["backupCodes"]) & set(carol.codes)
    assert (await people.two_factor(session))["backupCodesRemaining"] == 10
    for dead in carol.codes[:2]:
        answer = await people.redeem(dead, challenge=await people.challenge(carol))
        refused(answer, 401, "INVALID_BACKUP_CODE")
    accepted(await people.redeem(body["backupCodes"][0], challenge=await people.challenge(carol)))


async def test_new_codes_leave_sessions_alone(timed_sqlite: Timed) -> None:
    people, carol = timed_sqlite.people, timed_sqlite.carol
    session = await people.sign_in(carol)
    accepted(await generate(timed_sqlite, carol, session))
    assert await people.is_alive(session)


async def test_wrong_password_is_found_first_and_spends_no_code(timed: Timed) -> None:
    """Contract 4."""
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    timed.time.advance(minutes=11)
    code, backup = carol.has.code(), carol.codes[0]
    for given in (code, backup, carol.has.wrong()):
        body = {"password": "not the password", "code": given}
        answer = await timed.api.post("/two-factor/generate-backup-codes", body, bearer=session.token)
        refused(answer, 400, "INVALID_PASSWORD")
    accepted(await generate(timed, carol, session, code=code))
    answer = await people.redeem(backup, challenge=await people.challenge(carol))
    refused(answer, 401, "INVALID_BACKUP_CODE")


@pytest.mark.parametrize("how", ["totp", "backup code"])
async def test_old_proof_needs_a_code(timed: Timed, how: str) -> None:
    """S7: ten minutes."""
    people, carol = timed.people, timed.carol
    session = await people.sign_in(carol)
    timed.time.advance(minutes=10, milliseconds=1)
    refused(await generate(timed, carol, session), 403, "REAUTHENTICATION_REQUIRED")
    refused(await generate(timed, carol, session, code=carol.has.wrong()), 401, "INVALID_CODE")
    refused(await generate(timed, carol, session, code="0000-00000-00000-0000"), 401, "INVALID_CODE")
    code = carol.has.code() if how == "totp" else carol.codes[0]
    accepted(await generate(timed, carol, session, code=code))
    refused(await generate(timed, carol, session, code=code), 401, "INVALID_CODE")


async def test_sign_in_enrollment_and_step_up_count_as_proof(timed: Timed) -> None:
    """Contract 4."""
    people, carol = timed.people, timed.carol
    account, session = await people.newcomer()
    enrolled = await people.enroll(account, session)
    accepted(await generate(timed, account, enrolled))
    signed_in = await people.sign_in(carol)
    timed.time.advance(minutes=11)
    refused(await generate(timed, carol, signed_in), 403, "REAUTHENTICATION_REQUIRED")
    stepped = Session.of(await people.verify(carol.has.code(), bearer=signed_in.token))
    accepted(await generate(timed, carol, stepped))


async def test_refresh_does_not_make_an_old_proof_young(timed_sqlite: Timed) -> None:
    carol = timed_sqlite.carol
    session = await timed_sqlite.people.sign_in(carol)
    timed_sqlite.time.advance(minutes=11)
    pair = accepted(await timed_sqlite.api.post("/token/refresh", {"refreshToken": session.refresh_token}))
    answer = await timed_sqlite.api.post(
        "/two-factor/generate-backup-codes", {"password": carol.password}, bearer=pair["accessToken"]
    )
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")


async def test_codes_without_a_second_factor_are_400(live: Live) -> None:
    """better-auth-wire, Two-factor."""
    account, session = await live.people.newcomer()
    refused(await generate(live, account, session), 400, "TWO_FACTOR_NOT_ENABLED")


async def test_codes_do_not_depend_on_the_encryption_key_being_readable(timed: Timed) -> None:
    """S13: a secret that does not open is an outage, not "2FA off"; backup codes still work, nothing is counted."""
    people, carol = timed.people, timed.carol

    def damage(tx: Any) -> None:
        factor = tx.two_factor.find_factor(carol.id)
        assert tx.two_factor.reencrypt_factor(
            factor.id, old=factor.sealed_secret, new=factor.sealed_secret[:-4] + "AAAA"
        )

    await timed.auth.services.transactions.run(damage)
    challenge = await people.challenge(carol)
    for _ in range(12):
        answer = await people.verify(carol.has.at(0), challenge=challenge)
        assert answer.status_code in (400, 401, 503)
        if answer.status_code != 503:
            challenge = await people.challenge(carol)
    body = refused(await people.verify(carol.has.at(0), challenge=challenge), 503, "SERVICE_UNAVAILABLE")
    assert body["retryAfter"] > 0
    session = Session.of(await people.redeem(carol.codes[0], challenge=await people.challenge(carol)))
    assert (await people.two_factor(session))["enabled"] is True
