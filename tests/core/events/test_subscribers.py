"""Subscribers behind a relay: each by itself, patient, and served what was dead-lettered once more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from czo_auth.core.events.deliver import DeliveryPolicy
from czo_auth.core.events.types import Event
from czo_auth.core.transaction import Transactions
from czo_auth.delivery import subscribers as module
from czo_auth.delivery.subscribers import SUBSCRIBER_POLICY, Subscribers
from tests.core.events.relaying import dead_letters, policy, record, running
from tests.delivery.waiting import until


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> DeliveryPolicy:
    """Patience of milliseconds instead of hours."""
    numbers = policy(tries=4)
    monkeypatch.setattr(module._Subscription, "policy", numbers)
    return numbers


def test_patience_lasts_for_hours() -> None:
    pauses = [SUBSCRIBER_POLICY.pause_after(number) for number in range(1, SUBSCRIBER_POLICY.tries)]
    assert sum(pauses, timedelta(0)) > timedelta(hours=3)
    assert pauses[0] <= timedelta(seconds=1)
    assert max(pauses) <= timedelta(minutes=15)


async def test_subscriber_that_fails_holds_up_no_other_and_loses_nothing(
    transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module._Subscription, "policy", policy(tries=1000))
    subscribers, good, late = Subscribers(), list[str](), list[str]()
    is_down = True

    @subscribers.on("*")
    async def steady(event: Event) -> None:
        good.append(event.id)

    @subscribers.on("*")
    async def flaky(event: Event) -> None:
        if is_down:
            raise ConnectionError("the mail service is down")
        late.append(event.id)

    ids = await record(transactions, "a:1", "b:2", "a:3")
    async with running(transactions, *subscribers.sinks):
        await until(lambda: good == ids)
        assert late == []
        is_down = False
        await until(lambda: late == ids)
    assert await dead_letters(transactions) == []
    await subscribers.close()


async def test_dead_letter_of_a_subscriber_comes_back_when_it_is_replayed(
    transactions: Transactions, quick: DeliveryPolicy
) -> None:
    subscribers, got = Subscribers(), list[str]()
    broken = True

    @subscribers.on("*")
    async def picky(event: Event) -> None:
        if broken and event.data["mark"] == "a:1":
            raise KeyError("no such row")
        got.append(event.id)

    first, second = await record(transactions, "a:1", "a:2")
    (sink,) = subscribers.sinks
    now = datetime.now(UTC)
    async with running(transactions, sink):
        await until(lambda: got == [second])
        assert await dead_letters(transactions) == [
            (sink.name, first, f"SubscriberFailed: {picky.__qualname__}: KeyError: 'no such row'")
        ]
        assert await transactions.run(lambda tx: tx.outbox.replay(sink=None, event_id=first, now=now)) == 1

        async def was_refused_again() -> bool:
            letters = await transactions.read(lambda tx: tx.outbox.dead_letters(limit=1))
            return letters[0].replay_at is None

        while not await was_refused_again():
            pass
        broken = False
        await transactions.run(lambda tx: tx.outbox.replay(sink=None, event_id=None, now=now))
        await until(lambda: got == [second, first])
    assert await dead_letters(transactions) == []
    await subscribers.close()


async def test_subscriber_that_is_new_gets_what_comes_from_now_on(
    transactions: Transactions, quick: DeliveryPolicy
) -> None:
    subscribers, old, new = Subscribers(), list[str](), list[str]()

    @subscribers.on("*")
    async def first(event: Event) -> None:
        old.append(event.id)

    before = await record(transactions, "a:1", "a:2")
    async with running(transactions, *subscribers.sinks):
        await until(lambda: old == before)

    @subscribers.on("*")
    async def second(event: Event) -> None:
        new.append(event.id)

    after = await record(transactions, "a:3")
    async with running(transactions, *subscribers.sinks):
        await until(lambda: old == before + after and bool(new))
    assert new == after
    await subscribers.close()


def test_every_subscriber_has_a_name_of_its_own() -> None:
    subscribers = Subscribers()
    for _ in range(3):
        subscribers.on("*")(lambda event: None)
    names = [sink.name for sink in subscribers.sinks]
    assert len(set(names)) == 3
    assert all(name.startswith("in-process:") for name in names)
