"""Counters in this process: right at the edges of windows, quick and bounded with any number of clients (S25, S44)."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from czo_auth.runtime.local_counters import Limit, LocalCounters


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def hits(counters: LocalCounters, times: int, *key: str, amount: int = 10) -> int:
    async def hit() -> int:
        item = Limit(amount, 1)
        return sum([await counters.hit(item, *key) for _ in range(times)])

    return asyncio.run(hit())


def test_limit_is_used_up_and_comes_back_bit_by_bit() -> None:
    clock = Clock()
    counters = LocalCounters(clock=clock)
    assert hits(counters, 15, "a") == 10
    assert hits(counters, 15, "b") == 10, "each key has its own"
    clock.now += 60
    assert hits(counters, 1, "a") == 0
    clock.now += 30
    assert hits(counters, 15, "a") == 5
    clock.now += 120
    assert hits(counters, 15, "a") == 10


@given(st.lists(st.floats(0, 90), min_size=1, max_size=60), st.integers(1, 8))
def test_refusal_says_when_a_hit_passes_again(pauses: list[float], amount: int) -> None:
    async def story() -> None:
        clock = Clock()
        counters, item = LocalCounters(clock=clock), Limit(amount, 1)
        passed: list[float] = []
        for pause in pauses:
            clock.now += pause
            if await counters.hit(item, "a"):
                passed.append(clock.now)
                assert sum(clock.now - 60 < at for at in passed) <= 2 * amount
                continue
            free_at = (await counters.get_window_stats(item, "a")).reset_time
            assert clock.now <= free_at <= clock.now + 120
            clock.now = free_at + 0.001
            assert await counters.hit(item, "a")
            passed.append(clock.now)

    asyncio.run(story())


@pytest.mark.deep
def test_memory_is_bounded_and_a_busy_client_stays_limited() -> None:
    clock = Clock()
    counters = LocalCounters(max_counters=1000, clock=clock)
    hits(counters, 10, "busy")
    tracemalloc.start()
    for number in range(500):
        hits(counters, 1, f"client {number}")
    assert hits(counters, 1, "busy") == 0
    for number in range(20_000):
        asyncio.run(counters.hit(Limit(1, 60, "second"), f"other {number}"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(counters._windows) == 1000
    assert peak < 5_000_000


def test_expired_counters_are_removed_as_others_are_added() -> None:
    clock = Clock()
    counters = LocalCounters(clock=clock)
    for number in range(100):
        hits(counters, 1, f"early {number}")
    clock.now += 121
    for number in range(60):
        hits(counters, 1, f"late {number}")
    assert len(counters._windows) == 60
