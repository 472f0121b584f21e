"""Times that tell nothing (S5, S24): a short look at each pair, and the judge on times made up."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.attacks import timing
from tests.attacks.shell import ban, make_admin
from tests.contract.conftest import Served

pytestmark = pytest.mark.deep

TURNS = 16
NAMES = [
    *("sign-in: unknown", "sign-in: banned", "backup code", "API key", "report of a leak"),
    *("introspection: revoked", "introspection of another's"),
]


@pytest.fixture(scope="module")
def pairs(served: Served) -> list[timing.Pair]:
    server = served.server
    scene = asyncio.run(
        timing.set_up(server, lambda each: ban(server, each), lambda each: make_admin(server, each))
    )
    return timing.pairs(served.server.port, scene)


@pytest.mark.parametrize("name", NAMES)
def test_answer_takes_the_same_time(pairs: list[timing.Pair], served: Served, name: str) -> None:
    """
    One look in three is enough: noise seldom tells thrice, and what is left out of the work does each time.

    Leaving out a hash would make tens of milliseconds; half of that is beyond doubt also on a busy machine.
    """
    (pair,) = [pair for pair in pairs if pair.name.startswith(name)]
    looks: list[Any] = []
    for _ in range(3):
        looks.append(timing.compare(served.server.port, pair, turns=TURNS))
        if abs(looks[-1].difference) < max(0.5 * looks[-1].median, 0.001):
            return
    pytest.fail("\n".join(str(look) for look in looks))


def noise(shift: float) -> list[tuple[float, float]]:
    """Make times of a busy machine: a normal middle and, now and then, a long tail."""
    draw = random.Random(7)

    def one() -> float:
        return draw.gauss(0.030, 0.003) + (draw.expovariate(20) if draw.random() < 0.2 else 0.0)

    return [(one() + shift, one()) for _ in range(60)]


@pytest.mark.parametrize("shift", [0.0, 0.001, -0.001])
def test_noise_does_not_tell(shift: float) -> None:
    assert not timing.judge("noise", noise(shift), allowed=0.004).tells


@pytest.mark.parametrize("shift", [0.020, -0.020])
def test_missing_hash_tells_through_the_noise(shift: float) -> None:
    found = timing.judge("a hash less", noise(shift), allowed=0.004)
    assert found.tells
    assert found.low <= found.difference <= found.high
