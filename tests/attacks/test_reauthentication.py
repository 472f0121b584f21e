"""S7: a sensitive change asks for a recent proof; who holds a session alone has none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.contract.acting import create_key
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.devices import begin, trust
from tests.contract.people import Account, Session


async def prove(here: Timed, session: Session, **sent: object) -> Answer:
    """Send what proves again who holds *session*."""
    return await here.api.post("/reauthenticate", sent, bearer=session.token)


async def change(here: Timed, account: Account, session: Session, **more: object) -> Answer:
    """Ask for new backup codes, which takes a recent proof."""
    body = {"password": account.password, **more}
    return await here.api.post("/two-factor/generate-backup-codes", body, bearer=session.token)


async def trusted_session(here: Timed) -> Session:
    """Sign Carol in from a trusted browser: she has a second factor and did not prove it."""
    _, device = await trust(here, here.carol)
    assert device is not None
    return Session.of(await begin(here, here.carol, device))


async def test_password_typed_again_makes_the_same_session_recent(timed: Timed, carried: Any) -> None:
    account, session = await timed.people.newcomer()
    timed.time.advance(minutes=11)
    refused(
        await timed.api.post("/two-factor/enable", {}, **carried(session)), 403, "REAUTHENTICATION_REQUIRED"
    )
    sent = {"password": account.password}
    shown = accepted(await timed.api.post("/reauthenticate", sent, **carried(session)))
    assert set(shown) == {"session"}
    before = session.body["session"]
    assert shown["session"] == {**before, "authTime": shown["session"]["authTime"]}
    assert shown["session"]["authTime"] > before["authTime"]
    accepted(await timed.api.post("/two-factor/enable", {}, **carried(session)))


async def test_proof_is_recent_for_ten_minutes(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    timed.time.advance(hours=1)
    accepted(await prove(timed, session, password=account.password))
    timed.time.advance(minutes=10)
    accepted(await timed.api.post("/two-factor/enable", {}, bearer=session.token))
    timed.time.advance(milliseconds=1)
    refused(
        await timed.api.post("/two-factor/enable", {}, bearer=session.token), 403, "REAUTHENTICATION_REQUIRED"
    )


async def test_proof_belongs_to_the_session_that_gave_it(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    timed.time.advance(hours=1)
    accepted(await prove(timed, session, password=account.password))
    answer = await timed.api.post("/two-factor/enable", {}, bearer=other.token)
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")


@pytest.mark.parametrize("kind", ["totp", "backup"])
async def test_factor_proved_again_raises_no_assurance(timed: Timed, kind: str) -> None:
    session = await trusted_session(timed)
    refused(await change(timed, timed.carol, session), 403, "REAUTHENTICATION_REQUIRED")
    timed.time.advance(minutes=1)
    code = timed.carol.has.code() if kind == "totp" else timed.carol.codes[0]
    shown = accepted(await prove(timed, session, code=code))["session"]
    assert (shown["id"], shown["aal"], shown["amr"]) == (session.id, 1, ["pwd"])
    refused(await prove(timed, session, code=code), 401, "INVALID_CODE")
    accepted(await change(timed, timed.carol, session))


async def test_wrong_password_is_found_first_and_spends_no_code(timed: Timed) -> None:
    session = await timed.people.sign_in(timed.carol)
    timed.time.advance(minutes=1)
    code = timed.carol.has.code()
    for wrong in ("not the password", ""):
        refused(await prove(timed, session, password=wrong, code=code), 400, "INVALID_PASSWORD")
    accepted(await prove(timed, session, password=timed.carol.password, code=code))


async def test_what_is_sent_must_be_right_however_recent_the_proof(timed: Timed) -> None:
    session = await timed.people.sign_in(timed.carol)
    refused(await prove(timed, session, code=timed.carol.has.wrong()), 401, "INVALID_CODE")
    right = timed.carol.password
    refused(await prove(timed, session, password=right, code="000-000"), 401, "INVALID_CODE")
    refused(await prove(timed, session, password=right.upper()), 400, "INVALID_PASSWORD")
    refused(await change(timed, timed.carol, session, code="nonsense"), 401, "INVALID_CODE")
    _, fresh = await timed.people.newcomer()
    answer = await timed.api.post("/two-factor/enable", {"password": ""}, bearer=fresh.token)
    refused(answer, 400, "INVALID_PASSWORD")


async def test_proof_that_proves_nothing_is_refused(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    refused(await prove(timed, session), 400, "VALIDATION_ERROR")
    refused(await prove(timed, session, password=None, code=None), 400, "VALIDATION_ERROR")
    refused(
        await prove(timed, session, password=account.password, actorType="admin"), 400, "VALIDATION_ERROR"
    )
    refused(await prove(timed, session, code="123456"), 400, "TOTP_NOT_ENABLED")
    refused(await timed.api.post("/reauthenticate", {"password": account.password}), 401, "UNAUTHORIZED")
    key = await create_key(timed.api, session)
    answer = await timed.api.post("/reauthenticate", {"password": account.password}, bearer=key["key"])
    refused(answer, 403, "SESSION_REQUIRED")


async def test_session_that_ended_proves_nothing(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    accepted(await timed.api.post("/sign-out", {}, bearer=session.token))
    refused(await prove(timed, session, password=account.password), 401, "INVALID_TOKEN")


@pytest.mark.each_database
async def test_code_proves_once_in_two_requests_at_once(timed: Timed) -> None:
    session = await timed.people.sign_in(timed.carol)
    timed.time.advance(minutes=1)
    code = timed.carol.has.code()
    answers = await asyncio.gather(*[prove(timed, session, code=code) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_user_without_a_password_proves_the_factor_alone(timed: Timed) -> None:
    """Imported, or made by an administrator, and signed in some other way."""
    session = await timed.people.sign_in(timed.carol)
    url = timed.auth.settings.storage_url
    await sql(url, "UPDATE {}users SET password_hash = NULL WHERE id = $1", session.body["user"]["id"])
    timed.time.advance(minutes=11)
    path = "/two-factor/generate-backup-codes"
    refused(await timed.api.post(path, {}, bearer=session.token), 403, "REAUTHENTICATION_REQUIRED")
    refused(await timed.api.post(path, {"password": ""}, bearer=session.token), 400, "INVALID_PASSWORD")
    accepted(await timed.api.post(path, {"code": timed.carol.has.code()}, bearer=session.token))


async def test_user_without_password_and_factor_signs_in_again(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    url = timed.auth.settings.storage_url
    await sql(url, "UPDATE {}users SET password_hash = NULL WHERE id = $1", account.id)
    accepted(await timed.api.post("/two-factor/enable", {}, bearer=session.token))
    timed.time.advance(minutes=10, milliseconds=1)
    refused(
        await timed.api.post("/two-factor/enable", {}, bearer=session.token), 403, "REAUTHENTICATION_REQUIRED"
    )
