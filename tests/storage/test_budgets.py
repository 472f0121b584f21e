"""Counts that end by themselves: of concurrent uses of the last one left, one is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from czo_auth.core.budgets import Budget
from tests.support.records import NOW, SECOND
from tests.support.rows import Rows

BUDGET = Budget(name="invitations/somebody", limit=3, window=timedelta(hours=1))
END = NOW + BUDGET.window


async def test_uses_are_counted_up_to_the_limit_and_begin_again_after_the_window(rows: Rows) -> None:
    async def spend(budget: Budget, at: timedelta = timedelta(0)) -> object:
        return await rows.run(lambda tx: tx.budgets.spend(budget, now=NOW + at))

    assert [await spend(BUDGET) for _ in range(5)] == [None, None, None, END, END]
    assert await spend(replace(BUDGET, name="invitations/another")) is None
    assert await spend(replace(BUDGET, limit=4)) is None, "a limit that rises lets more pass"
    assert await spend(replace(BUDGET, limit=1)) == END
    assert await spend(BUDGET, BUDGET.window - SECOND) == END
    assert await spend(BUDGET, BUDGET.window) is None
    assert await spend(BUDGET, -SECOND) is None, "a clock that goes back opens no new window"
    assert await spend(BUDGET, -SECOND) is None
    assert await spend(BUDGET, -SECOND) == END + BUDGET.window


async def test_of_many_uses_at_once_no_more_pass_than_are_left(rows: Rows) -> None:
    uses = [rows.run(lambda tx: tx.budgets.spend(BUDGET, now=NOW)) for _ in range(12)]
    assert sorted(await asyncio.gather(*uses), key=str) == [END] * 9 + [None] * 3


async def test_budgets_of_many_people_are_pruned_when_they_ended(rows: Rows) -> None:
    budgets = [replace(BUDGET, name=f"api_keys/{number}") for number in range(1100)]
    await rows.run(lambda tx: [tx.budgets.spend(each, now=NOW) for each in budgets])
    assert await rows.run(lambda tx: tx.budgets.prune_expired(before=END)) == 0
    late = END + SECOND
    pruned = [await rows.run(lambda tx: tx.budgets.prune_expired(before=late)) for _ in range(3)]
    assert pruned == [1000, 100, 0]
