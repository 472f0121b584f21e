"""What the ports of the uses of API keys and of their quotas promise."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.usage import DayUsage, GatheredUses, LastUse
from czo_auth.core.api_keys.usage_store import TakenBlock
from czo_auth.storage.store import PRUNED_AT_ONCE
from tests.support.records import HOUR, NOW, SECOND, an_id
from tests.support.rows import Rows

TODAY = NOW.date()
DAY = timedelta(days=1)
MONTH = "2026-07"


def used_at(network: str | None = None, /, **times: datetime) -> GatheredUses:
    return GatheredUses(latest={key_id: LastUse(at, network) for key_id, at in times.items()})


async def add(rows: Rows, gathered: GatheredUses, *, keeps_addresses: bool = True) -> None:
    await rows.run(lambda tx: tx.key_uses.add(gathered, keeps_addresses=keeps_addresses))


async def found(rows: Rows, key: ApiKey) -> ApiKey | None:
    return await rows.run(lambda tx: tx.api_keys.find(key.id))


async def days_of(rows: Rows, key: ApiKey) -> Sequence[DayUsage]:
    return await rows.run(lambda tx: tx.key_uses.list_days(key.id, first=date.min, last=date.max))


# --- uses ------------------------------------------------------------------------------------------------------------
async def test_last_use_moves_forward_only(rows: Rows) -> None:
    user = await rows.user()
    first, second, third = (
        await rows.key(user),
        await rows.key(user),
        await rows.key(user, last_used_at=NOW),
    )
    await add(rows, used_at(**{first.id: NOW, third.id: NOW - SECOND, an_id(): NOW}))
    await add(rows, GatheredUses())
    assert [await found(rows, key) for key in (first, second, third)] == [
        replace(first, last_used_at=NOW),
        second,
        third,
    ]
    await add(rows, used_at(**{third.id: NOW + 59 * SECOND}))
    assert await found(rows, third) == third
    later = NOW + 60 * SECOND
    await add(rows, used_at(**{third.id: later}))
    assert await found(rows, third) == replace(third, last_used_at=later)


async def test_network_goes_with_the_newest_use(rows: Rows) -> None:
    key = await rows.key(await rows.user())
    await add(rows, used_at("203.0.113.0/24", **{key.id: NOW}))
    # Neither an older use nor one from an unknown place moves it.
    await add(rows, used_at("198.51.100.0/24", **{key.id: NOW - HOUR}))
    await add(rows, used_at(None, **{key.id: NOW + HOUR}))
    kept = await found(rows, key)
    assert kept is not None
    assert (kept.last_used_ip, kept.last_used_at) == ("203.0.113.0/24", NOW + HOUR)
    await add(rows, used_at("198.51.100.0/24", **{key.id: NOW + 2 * HOUR}))
    kept = await found(rows, key)
    assert kept is not None
    assert kept.last_used_ip == "198.51.100.0/24"


async def test_network_is_forgotten_where_it_is_not_kept_any_more(rows: Rows) -> None:
    user = await rows.user()
    used, idle = await rows.key(user), await rows.key(user)
    await add(rows, used_at("203.0.113.0/24", **{used.id: NOW, idle.id: NOW}))
    await add(rows, used_at(None, **{used.id: NOW + HOUR}), keeps_addresses=False)
    assert await found(rows, used) == replace(used, last_used_at=NOW + HOUR)
    assert await rows.run(lambda tx: tx.key_uses.forget_addresses()) == 1
    assert await rows.run(lambda tx: tx.key_uses.forget_addresses()) == 0
    assert await found(rows, idle) == replace(idle, last_used_at=NOW)


async def test_counts_add_up_by_day_and_in_all(rows: Rows) -> None:
    user = await rows.user()
    first, second = await rows.key(user), await rows.key(user)
    gathered = GatheredUses(
        used={TODAY: {first.id: 2, second.id: 1}, TODAY + DAY: {first.id: 3}},
        refused={TODAY: {first.id: 4}, TODAY + DAY: {second.id: 5}},
    )
    for _ in range(2):
        await add(rows, gathered)
    assert await days_of(rows, first) == [
        DayUsage(day=TODAY, used=4, refused=8),
        DayUsage(day=TODAY + DAY, used=6, refused=0),
    ]
    assert await days_of(rows, second) == [
        DayUsage(day=TODAY, used=2, refused=0),
        DayUsage(day=TODAY + DAY, used=0, refused=10),
    ]
    assert await found(rows, first) == replace(first, use_count=10)
    assert await found(rows, second) == replace(second, use_count=2)
    read = await rows.run(lambda tx: tx.key_uses.list_days(first.id, first=TODAY + DAY, last=TODAY + DAY))
    assert [each.day for each in read] == [TODAY + DAY]
    assert await rows.run(lambda tx: tx.key_uses.list_days("no id", first=TODAY, last=TODAY)) == []


async def test_uses_of_keys_that_are_gone_are_left_out(rows: Rows) -> None:
    key = await rows.key(await rows.user())
    gone = an_id()
    await add(rows, GatheredUses(used={TODAY: {key.id: 1, gone: 1, "no id": 1}}, refused={TODAY: {gone: 1}}))
    assert await found(rows, key) == replace(key, use_count=1)
    read = await rows.run(lambda tx: tx.key_uses.list_days(gone, first=TODAY, last=TODAY))
    assert read == []


async def test_days_go_with_the_key(rows: Rows) -> None:
    key = await rows.key(await rows.user())
    await add(rows, GatheredUses(used={TODAY: {key.id: 1}}))
    assert await rows.run(lambda tx: tx.api_keys.revoke(key.id, reason="test", now=NOW))
    assert await rows.run(lambda tx: tx.api_keys.prune_expired(before=NOW + HOUR, expired=NOW)) == 1
    assert await days_of(rows, key) == []


async def test_processes_that_flush_at_once_lose_nothing(rows: Rows) -> None:
    user = await rows.user()
    keys = [await rows.key(user) for _ in range(5)]
    gathered = GatheredUses(used={TODAY: {key.id: 1 for key in keys}}, refused={TODAY: {keys[0].id: 1}})

    async def flush() -> None:
        left = gathered
        while busy := await rows.run(lambda tx: tx.key_uses.add(left, keeps_addresses=True)):  # noqa: B023
            left = left.only(busy)

    await asyncio.gather(*(flush() for _ in range(8)))
    for key in keys:
        (day,) = await days_of(rows, key)
        assert day.used == 8
    assert (await days_of(rows, keys[0]))[0].refused == 8


async def test_old_days_are_pruned_in_batches(rows: Rows) -> None:
    key = await rows.key(await rows.user())
    old = {TODAY - number * DAY: {key.id: 1} for number in range(PRUNED_AT_ONCE + 5)}
    await add(rows, GatheredUses(used=old))
    before = TODAY - DAY
    counts = [await rows.run(lambda tx: tx.key_uses.prune(before=before)) for _ in range(3)]
    assert counts == [PRUNED_AT_ONCE, 3, 0]
    assert [each.day for each in await days_of(rows, key)] == [TODAY - DAY, TODAY]


# --- quotas ----------------------------------------------------------------------------------------------------------
async def take(
    rows: Rows, counter_id: str, *, period: str = MONTH, maximum: int = 10, block: int = 4
) -> TakenBlock:
    return await rows.run(
        lambda tx: tx.key_quotas.take(
            counter_id, period=period, maximum=maximum, block=block, expires_at=NOW + HOUR
        )
    )


async def count(rows: Rows, counter_id: str, period: str = MONTH) -> int:
    return await rows.run(lambda tx: tx.key_quotas.count(counter_id, period=period))


async def test_blocks_are_taken_until_nothing_is_left(rows: Rows) -> None:
    counter, other = an_id(), an_id()
    blocks = [await take(rows, counter) for _ in range(4)]
    assert blocks == [TakenBlock(4, 6), TakenBlock(4, 2), TakenBlock(2, 0), TakenBlock(0, 0)]
    assert await take(rows, other) == TakenBlock(4, 6)
    assert await take(rows, counter, period="2026-08") == TakenBlock(4, 6)
    assert await take(rows, an_id(), maximum=3) == TakenBlock(3, 0)


async def test_lower_quota_gives_nothing_where_more_was_taken(rows: Rows) -> None:
    counter = an_id()
    await take(rows, counter)
    assert await take(rows, counter, maximum=3) == TakenBlock(0, 0)
    assert await take(rows, counter, maximum=5) == TakenBlock(1, 0)


async def test_blocks_taken_at_once_are_never_more_than_the_quota(rows: Rows) -> None:
    counter = an_id()
    taken = await asyncio.gather(*(take(rows, counter, maximum=50, block=3) for _ in range(30)))
    assert sum(block.granted for block in taken) == 50
    assert await count(rows, counter) == 50


async def test_what_is_given_back_can_be_taken_again(rows: Rows) -> None:
    counter = an_id()
    await take(rows, counter)
    await rows.run(lambda tx: tx.key_quotas.give_back(counter, period=MONTH, count=3))
    assert await count(rows, counter) == 1
    # More than was taken cannot be given back: a count is never below zero.
    await rows.run(lambda tx: tx.key_quotas.give_back(counter, period=MONTH, count=3))
    assert await count(rows, counter) == 1
    assert await count(rows, an_id()) == 0


async def test_days_are_counted_for_their_month(rows: Rows) -> None:
    counter = an_id()
    for period in ("2026-07-01", "2026-07-02", "2026-06-30"):
        await take(rows, counter, period=period)
    days = ["2026-07-01", "2026-07-02", "2026-07-03"]
    for _ in range(2):
        await rows.run(lambda tx: tx.key_quotas.move(counter, days=days, month=MONTH, expires_at=NOW + HOUR))
        assert await count(rows, counter) == 8
    assert [await count(rows, counter, period) for period in ("2026-07-01", "2026-06-30")] == [0, 4]
    await take(rows, counter, period="2026-07-03", block=1)
    await rows.run(lambda tx: tx.key_quotas.move(counter, days=days, month=MONTH, expires_at=NOW + HOUR))
    assert await count(rows, counter) == 9


async def test_counts_of_old_periods_are_pruned(rows: Rows) -> None:
    counter = an_id()
    await take(rows, counter)
    assert await rows.run(lambda tx: tx.key_quotas.prune_expired(before=NOW)) == 0
    assert await rows.run(lambda tx: tx.key_quotas.prune_expired(before=NOW + 2 * HOUR)) == 1
    assert await count(rows, counter) == 0
