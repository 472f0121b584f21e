"""
Races of accounts, keys and organizations: one address, bounds, invitations and last owners.

Each is tried 32 times in the same instant from four client processes. The outcome is exact: how many succeed, what the
others are told, and what the database says afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.conftest import KEY_LIMIT
from tests.attacks.races import USES, ended_or_redeemed, newcomers, outcomes, redeemed_once, strike, won
from tests.attacks.volley import Attackers, request
from tests.contract.acting import create_key, create_organization, join, listed_keys
from tests.contract.api import BASE
from tests.contract.checks import accepted
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import PASSWORD, Account, Session

pytestmark = pytest.mark.deep


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
