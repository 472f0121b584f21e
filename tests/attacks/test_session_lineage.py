"""What belongs to a session belongs to it and its renewals; a renewal that proves nothing gains nothing (S6, S7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from czo_auth.server import Server
from tests.contract.api import NO_BODY, SESSION_COOKIE, Answer, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.devices import begin, trust
from tests.contract.people import CARRIERS, Account, Session
from tests.support.settings import HERE

ENROLLMENT_ROUTES = ("/two-factor/verify", "/two-factor/verify-totp")


async def enrolling(here: Timed) -> tuple[Account, Session, Session]:
    """Give somebody who is enrolling, the session that does it, and an older one that a thief has."""
    account, stolen = await here.people.newcomer()
    here.time.advance(minutes=11)
    session = await here.people.sign_in(account)
    await here.people.enable(account, session)
    return account, session, stolen


async def switch(here: Timed, session: Session, actor: str = "customer", **how: Any) -> Answer:
    return await here.api.post("/switch-actor", {"actorType": actor}, **(how or {"bearer": session.token}))


# --- a pending enrollment --------------------------------------------------------------------------------------------
async def test_session_without_proof_sees_no_pending_enrollment(timed: Timed) -> None:
    _, session, stolen = await enrolling(timed)
    for carry in CARRIERS.values():
        for body in ({}, {"password": "not the password"}):
            answer = await timed.api.post("/two-factor/get-totp-uri", body, **carry(stolen))
            refused(answer, 400, "TOTP_NOT_ENABLED")
        assert accepted(await timed.api.get("/two-factor", **carry(stolen)))["pending"] is False
        assert accepted(await timed.api.get("/two-factor", **carry(session)))["pending"] is True


async def test_password_in_another_session_does_not_show_the_secret(timed: Timed) -> None:
    account, _, stolen = await enrolling(timed)
    answer = await timed.api.post(
        "/two-factor/get-totp-uri", {"password": account.password}, bearer=stolen.token
    )
    refused(answer, 400, "TOTP_NOT_ENABLED")


async def test_session_without_proof_confirms_nothing(timed: Timed) -> None:
    account, session, stolen = await enrolling(timed)
    right = account.has.code()
    for path in ENROLLMENT_ROUTES:
        for carry in CARRIERS.values():
            refused(await timed.api.post(path, {"code": right}, **carry(stolen)), 400, "TOTP_NOT_ENABLED")
    renewed = Session.of(await timed.api.post(path, {"code": right}, bearer=session.token))
    assert renewed.body["session"]["aal"] == 2
    assert not await timed.people.is_alive(stolen)


async def test_new_phone_is_confirmed_by_the_session_that_proved_for_it(timed: Timed) -> None:
    carol, people = timed.carol, timed.people
    stolen = await people.sign_in(carol)
    timed.time.advance(minutes=30)
    session = await people.sign_in(carol)
    await people.enable(carol, session, replace=True)
    refused(
        await timed.api.post("/two-factor/get-totp-uri", {}, bearer=stolen.token), 403, "TOTP_ALREADY_ENABLED"
    )
    refused(await people.verify(carol.has.code(), bearer=stolen.token), 401, "INVALID_CODE")
    assert await people.is_alive(session)
    timed.time.advance(minutes=1)
    assert accepted(await people.verify(carol.has.code(), bearer=session.token))["verified"] is True


async def test_pages_of_another_session_confirm_nothing(deploy: Deploy) -> None:
    timed = await deploy(pages_enabled=True)
    account, session, stolen = await enrolling(timed)
    transport = httpx.ASGITransport(Server(timed.runtime))
    async with new_client(HERE, transport=transport) as http:
        headers = {"origin": HERE, "cookie": f"{SESSION_COOKIE}={stolen.token}"}
        await http.post("/account/enrol/confirm", data={"code": account.has.at(0)}, headers=headers)
    assert (await timed.people.two_factor(session))["enabled"] is False
    assert await timed.people.is_alive(session)


async def test_refreshed_token_of_another_session_changes_nothing(timed: Timed) -> None:
    _, _, stolen = await enrolling(timed)
    fresh = accepted(await timed.api.post("/token/refresh", {"refreshToken": stolen.refresh_token}))
    answer = await timed.api.post("/two-factor/get-totp-uri", {}, bearer=fresh["accessToken"])
    refused(answer, 400, "TOTP_NOT_ENABLED")


async def test_renewed_session_continues_its_enrollment(timed: Timed) -> None:
    account, session, _ = await enrolling(timed)
    for _ in range(2):
        session = Session.of(await switch(timed, session))
    accepted(await timed.api.post("/two-factor/get-totp-uri", {}, bearer=session.token))
    assert (await timed.people.two_factor(session))["pending"] is True
    accepted(await timed.people.verify(account.has.code(), bearer=session.token))


async def test_stepped_up_session_continues_the_enrollment_of_a_new_phone(timed: Timed) -> None:
    carol, people = timed.carol, timed.people
    old_phone, session = carol.has, await people.sign_in(carol)
    await people.enable(carol, session, replace=True)
    timed.time.advance(minutes=1)
    session = Session.of(await people.verify(old_phone.code(), bearer=session.token))
    accepted(await timed.api.post("/two-factor/get-totp-uri", {}, bearer=session.token))
    accepted(await people.verify(carol.has.code(), bearer=session.token))


# --- switching the actor type ----------------------------------------------------------------------------------------
async def test_switching_back_and_forth_gains_no_time(timed: Timed) -> None:
    account = await timed.people.sign_up("merchant")
    session = await timed.people.sign_in(account)
    first = session.body["session"]
    for actor in ("merchant", "customer", "customer"):
        timed.time.advance(days=2)
        old, session = session, Session.of(await switch(timed, session, actor))
        shown = session.body["session"]
        assert (shown["expiresAt"], shown["authTime"]) == (first["expiresAt"], first["authTime"])
        assert not await timed.people.is_alive(old)
    timed.time.advance(days=1)
    refused(await timed.api.get("/session", bearer=session.token), 401, "INVALID_TOKEN")
    answer = await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")


async def test_session_that_is_not_remembered_stays_so(timed: Timed) -> None:
    account = await timed.people.sign_up()
    session = await timed.people.sign_in(account, rememberMe=False)
    answer = await switch(timed, session, cookies=session.cookies)
    (cookie,) = [text for text in answer.headers.get_list("set-cookie") if SESSION_COOKIE in text]
    assert "max-age" not in cookie.lower()
    assert accepted(answer)["session"]["expiresAt"] == session.body["session"]["expiresAt"]


async def test_switch_proves_nothing_recent(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    timed.time.advance(minutes=11)
    renewed = Session.of(await switch(timed, session))
    answer = await timed.api.post("/two-factor/enable", {}, bearer=renewed.token)
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")


async def trusted_session(here: Timed, **more: object) -> Session:
    _, device = await trust(here, here.carol)
    assert device is not None
    body = {"email": here.carol.email, "password": here.carol.password, **more}
    cookies = {"better-auth.trust_device": device}
    return Session.of(await here.api.post("/sign-in/email", body, cookies=cookies))


@pytest.mark.parametrize("remembered", [True, False])
async def test_challenge_of_a_switch_renews_the_session(timed: Timed, remembered: bool) -> None:
    session = await trusted_session(timed, rememberMe=remembered)
    timed.time.advance(hours=3)
    asked = accepted(await switch(timed, session))
    assert asked["requires2FA"] is True
    entered = Session.of(await timed.people.verify(timed.carol.has.code(), challenge=asked["challenge"]))
    old, new = session.body["session"], entered.body["session"]
    assert (new["authTime"], new["expiresAt"]) == (old["authTime"], old["expiresAt"])
    assert (new["aal"], new["amr"]) == (2, ["pwd", "otp"])
    assert not await timed.people.is_alive(session)
    life = timedelta(days=7 if remembered else 1)
    timed.time.advance(seconds=life.total_seconds() - 3 * 3600)
    refused(await timed.api.get("/session", bearer=entered.token), 401, "INVALID_TOKEN")


Ending = Callable[[Timed, Session], Awaitable[Answer]]
ENDINGS: dict[str, Ending] = {
    "sign-out": lambda here, session: here.api.post("/sign-out", {}, bearer=session.token),
    "revoked": lambda here, session: here.api.delete(
        f"/sessions/{session.id}", NO_BODY, bearer=session.token
    ),
    "better-auth": lambda here, session: here.api.post(
        "/revoke-session", {"token": session.id}, bearer=session.token
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_challenge_of_a_switch_ends_with_its_session(timed: Timed, how: str) -> None:
    session = await trusted_session(timed)
    challenge = accepted(await switch(timed, session))["challenge"]
    assert (await ENDINGS[how](timed, session)).is_success
    timed.time.advance(minutes=1)
    answer = await timed.people.verify(timed.carol.has.code(), challenge=challenge)
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")


@pytest.mark.each_database
async def test_two_challenges_of_one_session_give_one_session(timed: Timed) -> None:
    session = await trusted_session(timed)
    challenges = [accepted(await switch(timed, session))["challenge"] for _ in range(2)]
    timed.time.advance(minutes=1)
    answers = await asyncio.gather(
        timed.people.verify(timed.carol.has.code(), challenge=challenges[0]),
        timed.people.redeem(timed.carol.codes[0], challenge=challenges[1]),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_sign_in_from_a_trusted_browser_begins_its_own_lineage(timed: Timed) -> None:
    account, session, _ = await enrolling(timed)
    newer = await timed.people.sign_in(Account(email=account.email))
    assert (await timed.people.two_factor(newer))["pending"] is False
    assert (await timed.people.two_factor(session))["pending"] is True
    refused(await begin(timed, timed.carol, "czd_" + "A" * 43, "robot"), 404, "UNKNOWN_ACTOR_TYPE")
