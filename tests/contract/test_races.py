"""
One-time things under 32 real requests at once, against a server with two workers (S2, S4, S5, S22).

Each race is over 32 connections that stand before it begins, so that the requests arrive together and at both workers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.contract.api import Answer, Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, People, Session

# On PostgreSQL, `make test` has each thing that works once; with 32 challenges at a time and on other ways to the same
# statement they race there in `make test-deep`.

RUNNERS = 32
Outcomes = Counter[tuple[int, str | None]]


@asynccontextmanager
async def lanes(live: Live, count: int = RUNNERS) -> AsyncIterator[list[Api]]:
    """Open connections that stay with the worker that took them."""
    clients = [new_client(live.api.origin) for _ in range(count)]
    try:
        await asyncio.gather(*(http.get("/healthz") for http in clients))
        yield [Api(http) for http in clients]
    finally:
        await asyncio.gather(*(http.aclose() for http in clients))


async def race(live: Live, run: Callable[[Api, int], Awaitable[Answer]]) -> list[Answer]:
    """Run *run* on 32 connections at once."""
    async with lanes(live) as apis:
        answers = await asyncio.gather(*(run(api, number) for number, api in enumerate(apis)))
    for answer in answers:
        assert answer.status_code < 500, answer.text
    return answers


def outcomes(answers: list[Answer]) -> Outcomes:
    """Count the answers by status and code; each refusal has the one form."""
    for answer in answers:
        if answer.status_code >= 400:
            refused(answer, answer.status_code, answer.json()["code"])
    return Counter(
        (answer.status_code, answer.json().get("code") if answer.status_code >= 400 else None)
        for answer in answers
    )


def winner(answers: list[Answer]) -> Answer:
    """Give the one success."""
    [won] = [answer for answer in answers if answer.status_code == 200]
    return won


def people_at(live: Live, api: Api) -> People:
    return People(api, live.clock, drift=live.people.drift)


async def sign_out_everywhere(live: Live, account: Account) -> int:
    """End all sessions; gives the number of unused backup codes."""
    session = await live.people.sign_in(account)
    unused: int = (await live.people.two_factor(session))["backupCodesRemaining"]
    accepted(await live.api.post("/revoke-sessions", {}, bearer=session.token))
    return unused


@pytest.fixture
async def racer(live: Live) -> Account:
    """Somebody with a second factor, no session, and no failures of an earlier race (a code's second use is one)."""
    account = live.prepared.customers[1]
    await live.auth.services.transactions.run(lambda tx: tx.challenges.clear_attempts(account.id))
    await sign_out_everywhere(live, account)
    return account


async def sessions_of(live: Live, session: Session) -> int:
    total: int = accepted(await live.api.get("/sessions", bearer=session.token))["total"]
    return total


@pytest.mark.each_database
async def test_one_totp_code_over_one_challenge_signs_in_once(live: Live, racer: Account) -> None:
    challenge, code = await live.people.challenge(racer), racer.has.code()

    async def run(api: Api, _: int) -> Answer:
        return await people_at(live, api).verify(code, challenge=challenge)

    answers = await race(live, run)
    session = Session.of(winner(answers))
    assert outcomes(answers)[200, None] == 1
    assert await sessions_of(live, session) == 1


async def test_one_totp_code_over_32_challenges_signs_in_once(live: Live, racer: Account) -> None:
    """S2: the step is spent for the account, not for the challenge."""
    challenges = [await live.people.challenge(racer) for _ in range(RUNNERS)]
    code = racer.has.code()

    async def run(api: Api, number: int) -> Answer:
        return await people_at(live, api).verify(code, challenge=challenges[number])

    answers = await race(live, run)
    session = Session.of(winner(answers))
    assert set(outcomes(answers)) <= {
        (200, None),
        (401, "INVALID_CODE"),
        (429, "ACCOUNT_TEMPORARILY_LOCKED"),
    }
    assert await sessions_of(live, session) == 1


@pytest.mark.each_database
async def test_one_totp_code_steps_up_once(live: Live, racer: Account) -> None:
    sessions = [await live.people.sign_in(racer) for _ in range(2)]
    code = racer.has.code()

    async def run(api: Api, number: int) -> Answer:
        return await people_at(live, api).verify(code, bearer=sessions[number % 2].token)

    answers = await race(live, run)
    stepped = Session.of(winner(answers))
    alive = [await live.people.is_alive(session) for session in sessions]
    # One was renewed. The other is as it was, unless enough of the losers were counted in it as wrong codes in a row.
    assert alive.count(True) <= 1
    assert await sessions_of(live, stepped) == 1 + alive.count(True)


@pytest.mark.each_database
async def test_one_backup_code_signs_in_once(live: Live, racer: Account) -> None:
    """S5: over 32 challenges."""
    before = await sign_out_everywhere(live, racer)
    challenges = [await live.people.challenge(racer) for _ in range(RUNNERS)]
    code = racer.codes.pop()

    async def run(api: Api, number: int) -> Answer:
        return await people_at(live, api).redeem(code, challenge=challenges[number])

    answers = await race(live, run)
    session = Session.of(winner(answers))
    assert await sessions_of(live, session) == 1
    assert (await live.people.two_factor(session))["backupCodesRemaining"] == before - 1


async def test_one_challenge_signs_in_once_whatever_proves_it(live: Live, racer: Account) -> None:
    """S3, S30: right codes of both kinds at once; who loses has spent nothing."""
    before = await sign_out_everywhere(live, racer)
    challenge, totp = await live.people.challenge(racer), racer.has.code()
    codes = racer.codes[:4]

    async def run(api: Api, number: int) -> Answer:
        people = people_at(live, api)
        if number == 0:
            return await people.verify(totp, challenge=challenge)
        return await people.redeem(codes[number % 4], challenge=challenge)

    answers = await race(live, run)
    session = Session.of(winner(answers))
    assert await sessions_of(live, session) == 1
    left = (await live.people.two_factor(session))["backupCodesRemaining"]
    used = 1 if session.body["session"]["amr"] == ["pwd", "bkp"] else 0
    assert left == before - used
    racer.codes = racer.codes[4:]


@pytest.mark.each_database
async def test_32_wrong_codes_on_one_challenge_are_five_tries(live: Live, racer: Account) -> None:
    """S4: counted before checked, so that parallel guesses share one budget."""
    challenge, wrong = await live.people.challenge(racer), racer.has.wrong()

    async def run(api: Api, _: int) -> Answer:
        return await people_at(live, api).verify(wrong, challenge=challenge)

    seen = outcomes(await race(live, run))
    assert seen == {
        (401, "INVALID_CODE"): 5,
        (400, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE"): 1,
        (401, "INVALID_TWO_FACTOR_COOKIE"): RUNNERS - 6,
    }
    # Five failures are not ten: the account is not locked.
    await live.people.sign_in(racer)


async def test_right_code_among_32_is_found_within_five_tries_or_not_at_all(
    live: Live, racer: Account
) -> None:
    challenge, wrong, right = await live.people.challenge(racer), racer.has.wrong(), racer.has.code()

    async def run(api: Api, number: int) -> Answer:
        return await people_at(live, api).verify(right if number == 20 else wrong, challenge=challenge)

    seen = outcomes(await race(live, run))
    assert seen[401, "INVALID_CODE"] + seen[200, None] <= 5
    assert seen[200, None] <= 1


async def test_32_wrong_codes_over_32_challenges_are_ten_tries(live: Live) -> None:
    """S4: ten consecutive failures lock the account, however they are spread."""
    account, session = await live.people.enrolled()
    challenges = [await live.people.challenge(account) for _ in range(RUNNERS)]
    wrong = account.has.wrong()

    async def run(api: Api, number: int) -> Answer:
        return await people_at(live, api).verify(wrong, challenge=challenges[number])

    seen = outcomes(await race(live, run))
    assert seen == {(401, "INVALID_CODE"): 10, (429, "ACCOUNT_TEMPORARILY_LOCKED"): RUNNERS - 10}
    assert await live.people.is_alive(session)


@pytest.mark.each_database
async def test_one_refresh_token_rotates_once(live: Live) -> None:
    """S22: never two live leaves; the losers are told that a refresh is under way, and the family lives."""
    _, session = await live.people.newcomer()

    async def run(api: Api, _: int) -> Answer:
        return await api.post("/token/refresh", {"refreshToken": session.refresh_token})

    answers = await race(live, run)
    assert outcomes(answers) == {(200, None): 1, (409, "REFRESH_IN_PROGRESS"): RUNNERS - 1}
    successor = winner(answers).json()["refreshToken"]
    accepted(await live.api.post("/token/refresh", {"refreshToken": successor}))
    assert await live.people.is_alive(session)


@pytest.mark.each_database
async def test_enrollment_is_confirmed_once(live: Live) -> None:
    account, session = await live.people.newcomer()
    await live.people.enable(account, session)
    # The codes are hashed ahead in this time; else every runner would hash them, which costs and shows nothing.
    await asyncio.sleep(1.5)
    code = account.has.code()

    async def run(api: Api, _: int) -> Answer:
        return await people_at(live, api).verify(code, bearer=session.token)

    answers = await race(live, run)
    renewed = Session.of(winner(answers))
    assert await sessions_of(live, renewed) == 1
    assert (await live.people.two_factor(renewed))["backupCodesRemaining"] == 10


@pytest.mark.each_database
async def test_address_signs_up_once(live: Live) -> None:
    body = {"email": "everybody@example.com", "password": "a shared passphrase", "name": "Everybody"}

    async def run(api: Api, _: int) -> Answer:
        return await api.post("/customer/sign-up", body)

    seen = outcomes(await race(live, run))
    assert seen == {(201, None): 1, (422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"): RUNNERS - 1}


async def test_password_is_changed_once(live: Live) -> None:
    """Who changes it at the same moment is told that the current one is not right any more, or is signed out."""
    account, session = await live.people.newcomer()

    async def run(api: Api, number: int) -> Answer:
        body = {"currentPassword": account.password, "newPassword": f"a new passphrase {number}"}
        return await api.post("/change-password", body, bearer=session.token)

    answers = await race(live, run)
    won = winner(answers)
    account.password = f"a new passphrase {answers.index(won)}"
    assert await sessions_of(live, Session.of(won)) == 1
    await live.people.sign_in(account)


@pytest.mark.each_database
async def test_sign_out_and_refresh_at_once_leave_no_live_token(live: Live) -> None:
    """S23: a family that ends while it grows ends whole."""
    _, session = await live.people.newcomer()

    async def run(api: Api, number: int) -> Answer:
        if number % 8 == 7:
            return await api.post("/sign-out", {}, bearer=session.token)
        return await api.post("/token/refresh", {"refreshToken": session.refresh_token})

    answers = await race(live, run)
    handed_out: list[Any] = [answer.json() for answer in answers if "refreshToken" in answer.text]
    for pair in handed_out:
        answer = await live.api.post("/token/refresh", {"refreshToken": pair["refreshToken"]})
        refused(answer, 401, "INVALID_REFRESH_TOKEN")
        refused(await live.api.get("/session", bearer=pair["accessToken"]), 401, "INVALID_TOKEN")
