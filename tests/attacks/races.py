"""
Races: what may happen once, tried 32 times in the same instant from four client processes.

Redemptions and revocations are also written down with their times and checked as a history.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from tests.attacks.history import History, faults
from tests.attacks.volley import Attackers, Shot
from tests.contract.conftest import Live
from tests.contract.people import Account, Session

USES = 32


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


async def newcomers(live: Live, count: int) -> list[tuple[Account, Session]]:
    """Sign people up and in, a few at a time."""
    few = asyncio.Semaphore(4)

    async def one() -> tuple[Account, Session]:
        async with few:
            return await live.people.newcomer()

    return list(await asyncio.gather(*[one() for _ in range(count)]))
