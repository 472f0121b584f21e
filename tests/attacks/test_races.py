"""
Races: what may happen once, tried 32 times in the same instant from four client processes.

The outcome is exact: how many succeed, what the others are told, and what the database says afterwards. Redemptions and
revocations are also written down with their times and checked as a history.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from tests.attacks.conftest import KEY_LIMIT, forget_attempts
from tests.attacks.history import History, faults
from tests.attacks.volley import Attackers, Shot, request
from tests.contract.acting import create_key, create_organization, join, listed_keys
from tests.contract.api import BASE
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import PASSWORD, Account, Session

pytestmark = pytest.mark.deep

USES = 32
CHALLENGES = 8
VERIFY, REDEEM = f"{BASE}/two-factor/verify", f"{BASE}/two-factor/verify-backup-code"


async def strike(
    attackers: Attackers, requests: Sequence[str], delays: Sequence[float | None] | None = None
) -> list[Shot]:
    """Let all requests go at once, beside the event loop."""
    assert len(requests) == USES
    shots = await asyncio.to_thread(attackers.strike, requests, delays=delays)
    assert all(shot.status is not None and shot.status < 500 for shot in shots), outcomes(shots)
    return shots


def outcomes(shots: Sequence[Shot]) -> Counter[str]:
    """Count the answers by status or code."""
    return Counter(shot.code or str(shot.status) for shot in shots)


def won(shots: Sequence[Shot]) -> list[Shot]:
    return [shot for shot in shots if shot.code is None]


def redeemed_once(thing: str, shots: Sequence[Shot]) -> None:
    """Check that one of the redemptions won, and that their times allow for the answers of all."""
    history = History()
    for shot in shots:
        history.add("redeem", thing, shot, ok=shot.code is None)
    assert faults(history) == []
    assert len(won(shots)) == 1, outcomes(shots)


def ended_or_redeemed(thing: str, ends: Sequence[Shot], redemptions: Sequence[Shot]) -> None:
    """Check that the times allow for the answers of both."""
    history = History()
    for shot in ends:
        history.add("revoke", thing, shot, ok=shot.code is None)
    for shot in redemptions:
        history.add("redeem", thing, shot, ok=shot.code is None)
    assert faults(history) == []


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


# --- second factors --------------------------------------------------------------------------------------------------
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


async def newcomers(live: Live, count: int) -> list[tuple[Account, Session]]:
    """Sign people up and in, a few at a time."""
    few = asyncio.Semaphore(4)

    async def one() -> tuple[Account, Session]:
        async with few:
            return await live.people.newcomer()

    return list(await asyncio.gather(*[one() for _ in range(count)]))


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


# --- tokens ----------------------------------------------------------------------------------------------------------
async def test_one_refresh_token(live: Live, attackers: Attackers, rounds: int) -> None:
    """One successor, and it lives; the others lost a race and are no thieves."""
    for _, session in await newcomers(live, rounds):
        body = {"refreshToken": session.refresh_token}
        shots = await strike(attackers, [request("POST", f"{BASE}/token/refresh", body)] * USES)
        redeemed_once("the refresh token", shots)
        assert outcomes(shots) == {"200": 1, "REFRESH_IN_PROGRESS": USES - 1}
        (winner,) = won(shots)
        leaves = await sql(
            live.served.database_url,
            "SELECT 1 FROM {}refresh_tokens WHERE session_id = $1 AND replaced_at IS NULL",
            session.id,
        )
        assert len(leaves) == 1
        body = {"refreshToken": winner.body["refreshToken"]}
        accepted(await live.api.post("/token/refresh", body))
        assert await live.people.is_alive(session)


WHOAMI = f"{BASE}/whoami"


async def end_against_uses(
    live: Live, attackers: Attackers, tokens: Sequence[str], end: str, *, ended: int
) -> None:
    """
    Use tokens before, while and after they are ended, in two volleys.

    The second one comes after the answer, so that what a process remembered during the first cannot come back to life.
    """
    history = History()
    uses = [request("GET", WHOAMI, bearer=tokens[n % len(tokens)]) for n in range(USES)]
    warm = await strike(attackers, uses)
    assert outcomes(warm) == {"200": USES}
    delays = [n * 0.001 for n in range(USES)]
    shots = await strike(attackers, [end, *uses[1:]], [0.008, *delays[1:]])
    assert shots[0].status == ended, shots[0].text
    history.add("revoke", "x", shots[0], ok=True)
    for shot in [*shots[1:], *await strike(attackers, uses)]:
        history.add("use", "x", shot, ok=shot.code is None)
    assert faults(history) == []
    assert history.operations[-1].outcome == "refused"


async def test_revoking_a_key_against_its_use(live: Live, attackers: Attackers, rounds: int) -> None:
    for _, session in await newcomers(live, rounds):
        key = await create_key(live.api, session)
        end = request("DELETE", f"{BASE}/api-keys/{key['id']}", bearer=session.token)
        await end_against_uses(live, attackers, [key["key"]], end, ended=204)


async def test_rotating_a_key_against_its_use(live: Live, attackers: Attackers, rounds: int) -> None:
    for _, session in await newcomers(live, rounds):
        key = await create_key(live.api, session)
        end = request("POST", f"{BASE}/api-keys/{key['id']}/rotate", {}, bearer=session.token)
        await end_against_uses(live, attackers, [key["key"]], end, ended=201)


async def test_signing_out_against_use(live: Live, attackers: Attackers, rounds: int) -> None:
    for _, session in await newcomers(live, rounds):
        end = request("POST", f"{BASE}/sign-out", {}, bearer=session.token)
        await end_against_uses(live, attackers, [session.token, session.access_token], end, ended=200)


async def test_ban_against_use(live: Live, attackers: Attackers, root: Session, rounds: int) -> None:
    for account, session in await newcomers(live, rounds):
        key = (await create_key(live.api, session))["key"]
        path = f"{BASE}/admin/users/{account.id}/ban"
        end = request("POST", path, {"reason": "fraud"}, bearer=root.token)
        await end_against_uses(live, attackers, [key, session.token, session.access_token], end, ended=200)


async def test_sign_out_against_refresh(live: Live, attackers: Attackers, rounds: int) -> None:
    """Whatever refreshes first, nothing that it gave lives on."""
    for _, session in await newcomers(live, rounds):
        body = {"refreshToken": session.refresh_token}
        refresh = request("POST", f"{BASE}/token/refresh", body)
        shots = await strike(
            attackers,
            [request("POST", f"{BASE}/sign-out", {}, bearer=session.token), *[refresh] * (USES - 1)],
        )
        assert shots[0].status == 200
        ended_or_redeemed("the refresh token", shots[:1], shots[1:])
        for shot in won(shots[1:]):
            refused(await live.api.get("/session", bearer=shot.body["accessToken"]), 401, "INVALID_TOKEN")
            answer = await live.api.post("/token/refresh", {"refreshToken": shot.body["refreshToken"]})
            refused(answer, 401, "INVALID_REFRESH_TOKEN")


# --- accounts, keys, organizations -----------------------------------------------------------------------------------
async def test_one_address_signed_up_many_times(live: Live, attackers: Attackers, rounds: int) -> None:
    for number in range(rounds):
        body = {"email": f"same-{number}@race.example", "password": PASSWORD, "name": "Eve"}
        spelled = [{**body, "email": body["email"].upper() if n % 2 else body["email"]} for n in range(USES)]
        requests = [request("POST", f"{BASE}/customer/sign-up", each) for each in spelled]
        reported = outcomes(await strike(attackers, requests))
        assert reported == {"201": 1, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL": USES - 1}


async def test_key_limit(live: Live, attackers: Attackers, rounds: int) -> None:
    for _, session in await newcomers(live, rounds):
        create = request("POST", f"{BASE}/api-keys", {"name": "k"}, bearer=session.token)
        shots = await strike(attackers, [create] * USES)
        assert outcomes(shots) == {"201": KEY_LIMIT, "API_KEY_LIMIT_REACHED": USES - KEY_LIMIT}
        assert len(await listed_keys(live.api, session)) == KEY_LIMIT
        assert len({shot.body["apiKey"]["key"] for shot in won(shots)}) == KEY_LIMIT


async def test_one_key_rotated_many_times(live: Live, attackers: Attackers, rounds: int) -> None:
    for _, session in await newcomers(live, rounds):
        key = await create_key(live.api, session)
        path = f"{BASE}/api-keys/{key['id']}/rotate"
        rotate = request("POST", path, {"overlapSeconds": 60}, bearer=session.token)
        shots = await strike(attackers, [rotate] * USES)
        redeemed_once("the rotation", shots)
        assert outcomes(shots) == {"201": 1, "API_KEY_ALREADY_ROTATED": USES - 1}
        assert len(await listed_keys(live.api, session)) == 2


async def test_one_invitation(live: Live, attackers: Attackers, rounds: int) -> None:
    # Owners of one round each: an unconfirmed account sends ten invitations a day.
    people, owners = await newcomers(live, rounds), await newcomers(live, rounds)
    for (account, session), (_, owner) in zip(people, owners, strict=True):
        path = f"/organizations/{await create_organization(live.api, owner)}/invitations"
        sent = await live.api.post(path, {"email": account.email, "role": "member"}, bearer=owner.token)
        body = {"token": accepted(sent, 201)["token"]}
        accept = request("POST", f"{BASE}/invitations/accept", body, bearer=session.token)
        shots = await strike(attackers, [accept] * USES)
        redeemed_once("the invitation", shots)
        assert outcomes(shots) == {"200": 1, "INVITATION_NOT_FOUND": USES - 1}
        rows = await sql(live.served.database_url, "SELECT 1 FROM {}members WHERE user_id = $1", account.id)
        assert len(rows) == 1


async def test_accepting_against_cancelling(live: Live, attackers: Attackers, rounds: int) -> None:
    """One of the two wins, and the membership says which."""
    people, owners = await newcomers(live, rounds), await newcomers(live, rounds)
    for (account, session), (_, owner) in zip(people, owners, strict=True):
        path = f"/organizations/{await create_organization(live.api, owner)}/invitations"
        body = {"email": account.email, "role": "member"}
        sent = accepted(await live.api.post(path, body, bearer=owner.token), 201)
        accept = request("POST", f"{BASE}/invitations/accept", {"token": sent["token"]}, bearer=session.token)
        cancel = request("DELETE", f"{BASE}{path}/{sent['invitation']['id']}", bearer=owner.token)
        shots = await strike(attackers, [accept, cancel] * (USES // 2))
        assert len(won(shots)) == 1, outcomes(shots)
        ended_or_redeemed("the invitation", shots[1::2], shots[::2])
        rows = await sql(live.served.database_url, "SELECT 1 FROM {}members WHERE user_id = $1", account.id)
        assert len(rows) == len(won(shots[::2]))


async def two_owners(
    live: Live, attackers: Attackers, people: list[tuple[Account, Session]], change: Callable[[str, str], str]
) -> list[str]:
    """Let two owners change each other at once; gives the roles that are left."""
    organization = await create_organization(live.api, people[0][1])
    await join(live.api, people[0][1], organization, people[1], "owner")
    requests = []
    for number in range(USES):
        by, other = people[number % 2], people[1 - number % 2]
        path = f"{BASE}/organizations/{organization}/members/{other[0].id}"
        requests.append(change(path, by[1].token))
    shots = await strike(attackers, requests)
    assert len(won(shots)) >= 1, outcomes(shots)
    rows = await sql(
        live.served.database_url, "SELECT role FROM {}members WHERE organization_id = $1", organization
    )
    # Both cannot have won: the one who lost the role had no right to answer with.
    assert not (won(shots[::2]) and won(shots[1::2])), outcomes(shots)
    return sorted(role for (role,) in rows)


def demote(path: str, token: str) -> str:
    return request("PATCH", path, {"role": "viewer"}, bearer=token)


def remove(path: str, token: str) -> str:
    return request("DELETE", path, bearer=token)


async def test_two_owners_removing_each_other(live: Live, attackers: Attackers, rounds: int) -> None:
    people = await newcomers(live, 2 * rounds)
    for number in range(rounds):
        pair = people[2 * number : 2 * number + 2]
        roles = await two_owners(live, attackers, pair, remove)
        assert roles == ["owner"]


async def test_two_owners_demoting_each_other(live: Live, attackers: Attackers, rounds: int) -> None:
    people = await newcomers(live, 2 * rounds)
    for number in range(rounds):
        pair = people[2 * number : 2 * number + 2]
        roles = await two_owners(live, attackers, pair, demote)
        assert roles == ["owner", "viewer"]


async def test_two_owners_leaving_together(live: Live, attackers: Attackers, rounds: int) -> None:
    people = await newcomers(live, 2 * rounds)
    for number in range(rounds):
        pair = people[2 * number : 2 * number + 2]
        organization = await create_organization(live.api, pair[0][1])
        await join(live.api, pair[0][1], organization, pair[1], "owner")
        base = f"{BASE}/organizations/{organization}/members"
        leave = [request("DELETE", f"{base}/{one.id}", bearer=session.token) for one, session in pair]
        shots = await strike(attackers, leave * (USES // 2))
        assert len(won(shots)) == 1, outcomes(shots)
        assert outcomes(shots)["LAST_OWNER"] == USES // 2
