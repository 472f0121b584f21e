"""Coroutines of one burst continue a few at a time, also where several threads have a loop each."""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from czo_auth.core.turn_queue import MANY_WAITING, TurnQueue


async def test_few_continue_in_each_turn() -> None:
    queue, turn, continued = TurnQueue(2), 0, []

    async def one() -> None:
        await queue.wait()
        continued.append(turn)

    waiting = [asyncio.create_task(one()) for _ in range(6)]
    while not all(task.done() for task in waiting):
        turn += 1
        await asyncio.sleep(0)
    assert max(continued.count(each) for each in continued) == 2


async def test_of_many_waiting_one_continues_in_each_turn_and_other_threads_may_run_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue, turn = TurnQueue(2), 0
    continued: list[int] = []
    moments: list[int] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: moments.append(turn) if seconds > 0 else None)

    async def one() -> None:
        await queue.wait()
        continued.append(turn)

    waiting = [asyncio.create_task(one()) for _ in range(3 * MANY_WAITING)]
    while not all(task.done() for task in waiting):
        turn += 1
        await asyncio.sleep(0)
    by_turn = [continued.count(each) for each in range(1, turn + 1)]
    # The first two do not wait, and their turn begins the next one.
    limited = 2 * MANY_WAITING - 2
    assert by_turn == [2, 0] + [1] * limited + [2] * (MANY_WAITING // 2)
    assert moments == list(range(2, 2 + limited))


def test_loops_of_several_threads_do_not_wait_in_each_other() -> None:
    queue = TurnQueue(2)

    async def many() -> int:
        async def one() -> int:
            for _ in range(200):
                await queue.wait()
            return 200

        return sum(await asyncio.wait_for(asyncio.gather(*(one() for _ in range(20))), 60))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            loops = [threads.submit(asyncio.run, many()) for _ in range(4)]
            assert [loop.result() for loop in loops] == [4_000] * 4
    finally:
        sys.setswitchinterval(before)
