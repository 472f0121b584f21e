"""
How often a process recalls a key instead of asking the database, simulated request by request.

It knows what `core.flows.authentication.cache` does: each process keeps a number of keys, the oldest goes first, none
stays longer than the bound, and every change that takes a right away empties all of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

ZIPF = 1.0001
"""Exponent of how unevenly keys are used: the busiest key of 10⁸ makes 3.8 % of the requests."""


@dataclass(frozen=True)
class Load:
    """
    The load of one process.

    Attributes:
        keys: Keys in use, the busiest first; their shares follow Zipf's law.
        checks_a_second: Requests that bring a key.
        changes_a_second: Revocations, bans and whatever else takes a right away, in the whole deployment.
        remembered: Keys that a process keeps.
        bound_seconds: Longest time that it keeps one.
    """

    keys: int
    checks_a_second: float
    changes_a_second: float
    remembered: int = 10_000
    bound_seconds: float = 5.0


def drawn(keys: int, chance: random.Random, *, exponent: float = ZIPF) -> int:
    """Draw a key by its rank, from 0; by the inverse of Zipf's distribution, taken as continuous."""
    power = 1.0 - exponent
    return min(keys, int((((keys + 1) ** power - 1.0) * chance.random() + 1.0) ** (1.0 / power))) - 1


def recalled(load: Load, *, seconds: float, chance: random.Random, exponent: float = ZIPF) -> float:
    """Return which part of the requests of *seconds* is recalled; the first fifth of them only fills the memory."""
    kept: dict[int, float] = {}
    now, hits, counted = 0.0, 0, 0
    next_change = _pause(load.changes_a_second, chance)
    while now < seconds:
        now += _pause(load.checks_a_second, chance)
        if now >= next_change:
            kept.clear()
            next_change = now + _pause(load.changes_a_second, chance)
        key = drawn(load.keys, chance, exponent=exponent)
        since = kept.get(key)
        is_hit = since is not None and now < since + load.bound_seconds
        if not is_hit:
            kept.pop(key, None)
            if len(kept) >= load.remembered:
                del kept[next(iter(kept))]
            kept[key] = now
        if now > seconds / 5:
            counted += 1
            hits += is_hit
    return hits / counted if counted else 0.0


def _pause(rate: float, chance: random.Random) -> float:
    return chance.expovariate(rate) if rate else float("inf")
