"""
Races for codes, challenges and enrollments: what may be redeemed once.

Each is tried 32 times in the same instant from four client processes. The outcome is exact: how many succeed, what the
others are told, and what the database says afterwards.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.attacks.conftest import forget_attempts
from tests.attacks.races import USES, newcomers, outcomes, redeemed_once, strike, won
from tests.attacks.volley import Attackers, request
from tests.contract.api import BASE
from tests.contract.checks import accepted
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import Account

pytestmark = pytest.mark.deep

CHALLENGES = 8
VERIFY, REDEEM = f"{BASE}/two-factor/verify", f"{BASE}/two-factor/verify-backup-code"


async def challenges(live: Live, account: Account, count: int = CHALLENGES) -> list[str]:
    return list(await asyncio.gather(*[live.people.challenge(account) for _ in range(count)]))


async def sessions_of(live: Live, account: Account) -> int:
    """Count a user's live sessions."""
    statement = "SELECT id FROM {}sessions WHERE user_id = $1 AND revoked_at IS NULL"
    return len(await sql(live.served.database_url, statement, account.id))


async def facts(live: Live, account: Account, action: str) -> int:
    """Count what was recorded of a user."""
    statement = "SELECT 1 FROM {}audit WHERE user_id = $1 AND action = $2"
    return len(await sql(live.served.database_url, statement, account.id, action))


async def unused_codes(live: Live, account: Account) -> int:
    statement = (
        "SELECT 1 FROM {}backup_codes WHERE user_id = $1 AND used_at IS NULL AND activated_at IS NOT NULL"
    )
    return len(await sql(live.served.database_url, statement, account.id))


async def test_one_backup_code(live: Live, attackers: Attackers, racers: list[Account]) -> None:
    for account in racers:
        await forget_attempts(live, account)
        code = account.codes.pop()
        opened = await challenges(live, account)
        before = await sessions_of(live, account), await unused_codes(live, account)
        bodies = [{"code": code, "challenge": opened[n % CHALLENGES]} for n in range(USES)]
        shots = await strike(attackers, [request("POST", REDEEM, body) for body in bodies])
        redeemed_once(code, shots)
        after = await sessions_of(live, account), await unused_codes(live, account)
        assert after == (before[0] + 1, before[1] - 1)


async def test_one_totp_code(live: Live, attackers: Attackers, racers: list[Account]) -> None:
    for account in racers:
        await forget_attempts(live, account)
        code = account.has.code()
        opened = await challenges(live, account)
        before = await sessions_of(live, account)
        bodies = [{"code": code, "challenge": opened[n % CHALLENGES]} for n in range(USES)]
        redeemed_once(code, await strike(attackers, [request("POST", VERIFY, body) for body in bodies]))
        assert await sessions_of(live, account) == before + 1


async def test_one_totp_code_at_sign_in_and_for_step_up(
    live: Live, attackers: Attackers, racers: list[Account]
) -> None:
    for account in racers:
        await forget_attempts(live, account)
        session = await live.people.sign_in(account)
        code = account.has.code()
        opened = await challenges(live, account, 4)
        requests = [
            request("POST", VERIFY, {"code": code}, bearer=session.token)
            if n % 2
            else request("POST", VERIFY, {"code": code, "challenge": opened[n // 2 % 4]})
            for n in range(USES)
        ]
        redeemed_once(code, await strike(attackers, requests))


async def test_one_challenge_with_many_right_codes(
    live: Live, attackers: Attackers, racers: list[Account]
) -> None:
    """One session comes of it, and one code is spent: the winner's."""
    for account in racers:
        await forget_attempts(live, account)
        challenge = await live.people.challenge(account)
        before = await sessions_of(live, account), await unused_codes(live, account)
        totp, codes = [account.has.code() for _ in range(4)], account.codes[-4:]
        requests = [
            request("POST", REDEEM, {"code": codes[n // 2 % 4], "challenge": challenge})
            if n % 2
            else request("POST", VERIFY, {"code": totp[n // 2 % 4], "challenge": challenge})
            for n in range(USES)
        ]
        shots = await strike(attackers, requests)
        redeemed_once(challenge, shots)
        (winner,) = won(shots)
        by_backup_code = winner.body["session"]["amr"] == ["pwd", "bkp"]
        if by_backup_code:
            account.codes.remove(codes[shots.index(winner) // 2 % 4])
        after = await sessions_of(live, account), await unused_codes(live, account)
        assert after == (before[0] + 1, before[1] - by_backup_code)


async def test_wrong_codes_at_one_challenge(live: Live, attackers: Attackers, racers: list[Account]) -> None:
    """Five are tried, and no more; the right one among the others does not help."""
    for account in racers:
        await forget_attempts(live, account)
        challenge, wrong = await live.people.challenge(account), account.has.wrong()
        body = {"code": wrong, "challenge": challenge}
        reported = outcomes(await strike(attackers, [request("POST", VERIFY, body)] * USES))
        assert reported["INVALID_CODE"] == 5
        assert (
            reported["TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE"] + reported["INVALID_TWO_FACTOR_COOKIE"] == USES - 5
        )
        answer = await live.people.verify(account.has.code(), challenge=challenge)
        assert answer.status_code in (400, 401)
        assert await facts(live, account, "auth.2fa.code") >= 5


async def test_wrong_codes_at_many_challenges(
    live: Live, attackers: Attackers, racers: list[Account]
) -> None:
    """Ten are tried on the account, and no more."""
    for account in racers:
        await forget_attempts(live, account)
        opened, wrong = await challenges(live, account), account.has.wrong()
        bodies = [{"code": wrong, "challenge": opened[n % CHALLENGES]} for n in range(USES)]
        reported = outcomes(await strike(attackers, [request("POST", VERIFY, body) for body in bodies]))
        assert reported == {"INVALID_CODE": 10, "ACCOUNT_TEMPORARILY_LOCKED": USES - 10}


async def test_wrong_codes_at_many_challenges_and_in_a_session(
    live: Live, attackers: Attackers, racers: list[Account]
) -> None:
    """The ways to guess share one budget."""
    for account in racers:
        await forget_attempts(live, account)
        session = await live.people.sign_in(account)
        opened, wrong = await challenges(live, account, 4), account.has.wrong()
        step_up = request("POST", VERIFY, {"code": wrong}, bearer=session.token)
        nonsense = "0000-00000-00000-0000"
        requests = [
            *[step_up] * 16,
            *(request("POST", VERIFY, {"code": wrong, "challenge": each}) for each in opened * 2),
            *(request("POST", REDEEM, {"code": nonsense, "challenge": each}) for each in opened * 2),
        ]
        reported = outcomes(await strike(attackers, requests))
        assert reported["INVALID_CODE"] + reported["INVALID_BACKUP_CODE"] == 10
        assert reported["ACCOUNT_TEMPORARILY_LOCKED"] == USES - 10


async def test_confirm_against_confirm_and_enable_against_disable(
    live: Live, attackers: Attackers, rounds: int
) -> None:
    """
    An enrollment is confirmed once, by one of two sessions; and what was turned on is turned off once.

    Both in one, because both use up an enrollment, which costs ten hashes.
    """
    for account, session in await newcomers(live, rounds):
        other = await live.people.sign_in(account)
        await live.people.enable(account, session)
        body = {"code": account.has.code()}
        requests = [request("POST", VERIFY, body, bearer=(session, other)[n % 2].token) for n in range(USES)]
        shots = await strike(attackers, requests)
        redeemed_once("the enrolment", shots)
        (winner,) = won(shots)
        assert await sessions_of(live, account) == 1
        assert await unused_codes(live, account) == 10
        assert await facts(live, account, "auth.2fa.enabled") == 1
        await enable_against_disable(live, attackers, account, winner.headers["set-auth-token"])


async def enable_against_disable(live: Live, attackers: Attackers, account: Account, token: str) -> None:
    """Whatever comes first: it is off in the end, once, and a new enrollment is at most pending."""
    path, password = f"{BASE}/two-factor", {"password": account.password}
    requests = [
        request("POST", f"{path}/enable", {**password, "replace": True}, bearer=token)
        if n % 2
        else request("POST", f"{path}/disable", password, bearer=token)
        for n in range(USES)
    ]
    shots = await strike(attackers, requests)
    redeemed_once("the factor", shots[::2])
    state = accepted(await live.api.get("/two-factor", bearer=token))
    assert (state["enabled"], state["backupCodesRemaining"]) == (False, 0)
    assert await unused_codes(live, account) == 0
    assert await facts(live, account, "auth.2fa.disabled") == 1
    reported = accepted(await live.api.get("/whoami", bearer=token))
    assert reported["aal"] == 1
    assert accepted(await live.people.begin(account))["requires2FA"] is False
