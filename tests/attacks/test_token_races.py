"""
Races of tokens and keys: one refresh, and none of their uses after they ended.

Each is tried 32 times in the same instant from four client processes. The outcome is exact: how many succeed, what the
others are told, and what the database says afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.attacks.history import History, faults
from tests.attacks.races import USES, ended_or_redeemed, newcomers, outcomes, redeemed_once, strike, won
from tests.attacks.volley import Attackers, request
from tests.contract.acting import create_key
from tests.contract.api import BASE
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import Session

pytestmark = pytest.mark.deep


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
