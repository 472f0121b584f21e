"""Spending quotas: blocks that are taken ahead, by many requests at once and while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from czo_auth.core.api_keys.quota import Quota, QuotaPeriod
from czo_auth.core.errors import QuotaExceeded, StorageUnavailable
from czo_auth.core.flows.api_keys import quotas
from czo_auth.core.flows.api_keys.quotas import ASK_AGAIN, SpendQuotas
from czo_auth.core.ids import new_id
from czo_auth.core.transaction import Transaction
from tests.core.flows.deployment import NOW, Deployment

SECOND = timedelta(seconds=1)


class Watched:
    """
    The transactions of a deployment.

    Attributes:
        runs: How many were run.
        is_down: They fail while it is set.
        when_done: Called when one is done, before who waits for it goes on.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._transactions = deployment.transactions
        self.runs = 0
        self.is_down = False
        self.when_done: Callable[[], None] = lambda: None

    async def run(self, step: Callable[[Transaction], Any], context: object = None) -> Any:
        self.runs += 1
        # A moment in which others come too.
        await asyncio.sleep(0)
        if self.is_down:
            raise StorageUnavailable
        found = await self._transactions.run(step)
        self.when_done()
        return found

    async def read(self, step: Callable[[Transaction], Any], context: object = None) -> Any:
        return await self._transactions.read(step)


def a_quota(maximum: int, period: QuotaPeriod = "day") -> Quota:
    return Quota(maximum=maximum, period=period, counter_id=new_id(NOW))


async def passes(spending: SpendQuotas, quota: Quota, count: int, *, now: datetime = NOW) -> int:
    """Spend *count* at once; give how many passed."""
    results = await asyncio.gather(
        *(spending.spend(quota, now=now) for _ in range(count)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(refusal, QuotaExceeded) for refusal in refused), refused
    return count - len(refused)


async def test_block_is_asked_for_once_however_many_wait_for_it(deployment: Deployment) -> None:
    watched = Watched(deployment)
    spending, quota = SpendQuotas(watched), a_quota(400)
    assert await passes(spending, quota, 20) == 20
    assert watched.runs == 1
    assert await passes(spending, quota, 500) == 380
    # Twenty blocks of twenty, and one question that found nothing left.
    assert watched.runs <= 21


async def test_processes_together_let_the_quota_pass_and_not_one_more(deployment: Deployment) -> None:
    quota = a_quota(90)
    processes = [SpendQuotas(deployment.transactions) for _ in range(4)]
    counts = await asyncio.gather(*(passes(process, quota, 60) for process in processes))
    assert sum(counts) == 90


async def test_flood_on_a_quota_that_is_used_up_does_not_ask_the_database(deployment: Deployment) -> None:
    watched = Watched(deployment)
    spending, quota = SpendQuotas(watched), a_quota(1)
    assert await passes(spending, quota, 2) == 1
    before = watched.runs
    assert await passes(spending, quota, 100) == 0
    assert watched.runs == before
    with pytest.raises(QuotaExceeded) as refused:
        await spending.spend(quota, now=NOW + ASK_AGAIN)
    assert watched.runs == before + 1
    midnight = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC) + timedelta(days=1)
    assert refused.value.retry_after == int((midnight - NOW - ASK_AGAIN).total_seconds())


async def test_what_a_process_gave_back_is_found_by_the_others(deployment: Deployment) -> None:
    quota = a_quota(40)
    here, there = SpendQuotas(deployment.transactions), SpendQuotas(deployment.transactions)
    await there.spend(quota, now=NOW)
    assert await passes(here, quota, 60) == 38
    await there.give_back()
    await there.give_back()
    assert await passes(here, quota, 5, now=NOW + ASK_AGAIN) == 1


async def test_what_is_left_is_reported_as_far_as_it_is_known(deployment: Deployment) -> None:
    quota = a_quota(100)
    here, there = SpendQuotas(deployment.transactions), SpendQuotas(deployment.transactions)
    assert (await here.spend(quota, now=NOW)).count == 99
    assert (await there.spend(quota, now=NOW)).count == 94
    assert [(await here.spend(quota, now=NOW)).count for _ in range(4)] == [98, 97, 96, 95]
    assert (await here.spend(quota, now=NOW)).count == 89


async def test_outage_stops_what_needs_a_block_and_leaves_no_trace(deployment: Deployment) -> None:
    watched = Watched(deployment)
    spending, quota = SpendQuotas(watched), a_quota(40)
    await spending.spend(quota, now=NOW)
    watched.is_down = True
    await spending.spend(quota, now=NOW)
    results = await asyncio.gather(
        *(spending.spend(quota, now=NOW) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, StorageUnavailable) for result in results)
    watched.is_down = False
    assert await passes(spending, quota, 60) == 38


async def test_request_that_is_cancelled_takes_nothing_from_the_others(deployment: Deployment) -> None:
    spending, quota = SpendQuotas(Watched(deployment)), a_quota(40)
    first = asyncio.create_task(spending.spend(quota, now=NOW))
    second = asyncio.create_task(spending.spend(quota, now=NOW))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).count == 39
    assert first.cancelled() or first.done()
    assert await passes(spending, quota, 60) == 39


async def test_blocks_of_another_day_or_quota_are_not_used(deployment: Deployment) -> None:
    spending, quota = SpendQuotas(deployment.transactions), a_quota(2)
    later = NOW + timedelta(days=1)
    assert await passes(spending, quota, 3) == 2
    assert await passes(spending, quota, 3, now=later) == 2
    assert await passes(spending, quota, 3, now=NOW - SECOND) == 0
    raised = Quota(maximum=3, period="day", counter_id=quota.counter_id)
    assert await passes(spending, raised, 3, now=later) == 1


async def test_memory_of_blocks_is_bounded(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "_MAX_BLOCKS", 3)
    spending = SpendQuotas(deployment.transactions)
    many = [a_quota(1) for _ in range(6)]
    for quota in many:
        await spending.spend(quota, now=NOW)
        assert len(spending._blocks) <= 3
    # What was forgotten is asked for again, and was used up.
    assert [await passes(spending, quota, 1) for quota in many] == [0] * 6
    await spending.spend(a_quota(1), now=NOW + timedelta(days=1))
    assert len(spending._blocks) <= 2


@pytest.mark.timeout(60)
async def test_uses_that_come_in_the_turn_in_which_a_block_was_reserved_are_answered(
    deployment: Deployment,
) -> None:
    """Others may have used that block already. A worker that waits for it in vain answers nobody any more."""
    watched, quota = Watched(deployment), a_quota(20)
    spending = SpendQuotas(watched)
    uses: list[asyncio.Task[bool]] = []

    async def passes_once() -> bool:
        try:
            await spending.spend(quota, now=NOW)
        except QuotaExceeded:
            return False
        return True

    def arrive() -> None:
        uses.extend(asyncio.create_task(passes_once()) for _ in range(3))

    watched.when_done = arrive
    arrive()
    while not all(use.done() for use in uses):
        await asyncio.wait(uses)
    assert sum(use.result() for use in uses) == 20
