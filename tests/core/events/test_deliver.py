from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from czo_auth.core.events.deliver import DeliveryPolicy, Relay, SinkUnavailable
from czo_auth.core.events.types import Event
from czo_auth.core.transaction import Transactions
from tests.core.events.relaying import Clock, Notebook, dead_letters, milliseconds, policy, record, running
from tests.delivery.waiting import until


# --- what a sink gets ------------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_sink_gets_every_event_once_and_in_the_order_of_the_commits(transactions: Transactions) -> None:
    notebook = Notebook()
    ids = await record(transactions, *(f"u{number % 3}:{number}" for number in range(25)))
    # No poll comes to help: a full batch is followed by the next one at once.
    numbers = policy(batch_size=10, poll=timedelta(minutes=1))
    async with running(transactions, notebook, numbers=numbers) as relay:
        await until(lambda: len(notebook.got) == 25)
        ids += await record(transactions, "u1:25", "u2:26")
        relay.notify()
        await until(lambda: len(notebook.got) == 27)
    assert notebook.ids == ids
    assert [event.data["mark"] for event in notebook.got[:4]] == ["u0:0", "u1:1", "u2:2", "u0:3"]


@pytest.mark.each_database
async def test_next_relay_continues_where_the_last_one_stopped(transactions: Transactions) -> None:
    first, second = Notebook(), Notebook()
    await record(transactions, "u:1", "u:2")
    async with running(transactions, first):
        await until(lambda: len(first.got) == 2)
    ids = await record(transactions, "u:3")
    async with running(transactions, second, owner="two"):
        await until(lambda: second.got)
    assert second.ids == ids


async def test_each_sink_goes_at_its_own_pace(transactions: Transactions) -> None:
    async def never(event: Event) -> None:
        raise SinkUnavailable("down")

    up, down = Notebook("up"), Notebook("down", before=never)
    ids = await record(transactions, "u:1", "u:2")
    async with running(transactions, up, down):
        await until(lambda: len(up.got) == 2)
        await until(lambda: len(down.offered) > 2)
    assert (up.ids, down.ids) == (ids, [])


async def test_notify_ends_the_wait_for_the_next_poll(transactions: Transactions) -> None:
    notebook = Notebook()
    async with running(transactions, notebook, numbers=policy(poll=timedelta(seconds=60))) as relay:
        # Until the first poll is over, however long it takes to begin.
        await record(transactions, "u:1")
        relay.notify()
        await until(lambda: notebook.got)
        await asyncio.sleep(0.3)
        await record(transactions, "u:2")
        await asyncio.sleep(0.1)
        assert len(notebook.got) == 1
        relay.notify()
        await until(lambda: len(notebook.got) == 2, within=30)


# --- a sink that is down ---------------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_outage_loses_nothing_and_keeps_every_users_order(transactions: Transactions) -> None:
    is_up = False

    async def ask(event: Event) -> None:
        if not is_up:
            raise SinkUnavailable("connection refused")

    notebook = Notebook(before=ask)
    marks = [f"u{number % 4}:{number}" for number in range(20)]
    async with running(transactions, notebook):
        ids = await record(transactions, *marks[:10])
        # More often than any event may fail for its own sake.
        await until(lambda: len(notebook.offered) > 8)
        ids += await record(transactions, *marks[10:])
        assert set(notebook.offered) == {ids[0]}
        is_up = True
        await until(lambda: len(notebook.got) == 20)
    assert notebook.ids == ids
    for user in ("u0", "u1", "u2", "u3"):
        assert [e.data["mark"] for e in notebook.got if e.user_id == user] == [
            mark for mark in marks if mark.startswith(f"{user}:")
        ]
    assert await dead_letters(transactions) == []


async def test_outage_is_logged_once_and_so_is_its_end(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "czo_auth.events")
    tries = 0

    async def ask(event: Event) -> None:
        nonlocal tries
        tries += 1
        if tries < 6:
            raise SinkUnavailable("down\nINFO forged")

    notebook = Notebook(before=ask)
    await record(transactions, "u:1")
    async with running(transactions, notebook):
        await until(lambda: notebook.got)
    lines = [entry.getMessage() for entry in caplog.records if entry.name == "czo_auth.events"]
    assert lines == [
        "sink notebook is unavailable, its events wait: SinkUnavailable: down\\u000aINFO forged",
        "delivery to sink notebook resumed after 5 failures",
    ]


async def test_what_was_delivered_before_the_outage_is_not_delivered_again(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    ids = await record(transactions, "u:1", "u:2", "u:3")

    async def ask(event: Event) -> None:
        if event.id == ids[2]:
            raise SinkUnavailable

    first, second = Notebook(before=ask), Notebook()
    minute = timedelta(minutes=1)
    async with running(transactions, first, numbers=policy(first_pause=minute, longest_pause=minute)):
        await until(lambda: "sink notebook is unavailable" in caplog.text)
        # Another process, to which the lease has run out: as if the first had been killed during the outage.
        async with running(transactions, second, owner="two", now=Clock(ahead=timedelta(minutes=2))):
            await until(lambda: second.got)
    assert (first.ids, second.ids) == (ids[:2], ids[2:])


async def test_sink_that_hangs_is_down_and_nothing_is_dead_lettered(transactions: Transactions) -> None:
    hangs = True

    async def ask(event: Event) -> None:
        if hangs:
            await asyncio.sleep(60)

    notebook = Notebook(before=ask)
    ids = await record(transactions, "u:1", "u:2")
    async with running(transactions, notebook, numbers=policy(time_limit=milliseconds(10))):
        await until(lambda: len(notebook.offered) > 6)
        hangs = False
        await until(lambda: len(notebook.got) == 2)
    assert notebook.ids == ids
    assert await dead_letters(transactions) == []


async def test_neither_an_idle_relay_nor_one_that_waits_for_a_sink_is_busy(
    transactions: Transactions,
) -> None:
    async def never(event: Event) -> None:
        raise SinkUnavailable

    clock, notebook = Clock(), Notebook(before=never)
    calm = policy(poll=milliseconds(100), first_pause=milliseconds(100), longest_pause=milliseconds(100))
    async with running(transactions, notebook, now=clock, numbers=calm) as relay:
        relay.notify()
        await asyncio.sleep(0.6)
        assert clock.asked <= 20
        await record(transactions, "u:1")
        # Being poked must not shorten the pauses that the sink needs.
        for _ in range(60):
            relay.notify()
            await asyncio.sleep(0.01)
    assert 3 <= len(notebook.offered) <= 16


# --- an event that is refused ----------------------------------------------------------------------------------------
@pytest.mark.each_database
async def test_refused_event_is_dead_lettered_after_five_tries_and_later_ones_are_delivered(
    transactions: Transactions, caplog: pytest.LogCaptureFixture
) -> None:
    ids = await record(transactions, "a:1", "b:2", "a:3", "b:4", "a:5")

    async def ask(event: Event) -> None:
        if event.id == ids[2]:
            raise ValueError("cannot digest this\r\nat all")

    notebook = Notebook(before=ask)
    async with running(transactions, notebook):
        await until(lambda: len(notebook.got) == 4)
    assert notebook.ids == [ids[0], ids[1], ids[3], ids[4]]
    assert Counter(notebook.offered) == Counter(dict.fromkeys(ids, 1)) + Counter({ids[2]: 4})
    assert await dead_letters(transactions) == [
        ("notebook", ids[2], "ValueError: cannot digest this\\u000d\\u000aat all")
    ]
    # Each single refusal is an INFO, which another test's logging may let through.
    reported = [entry for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert [entry.levelname for entry in reported if ids[2] in entry.getMessage()] == ["ERROR"]


async def test_dead_lettered_event_stays_behind_when_the_relay_starts_again(
    transactions: Transactions,
) -> None:
    async def never(event: Event) -> None:
        raise ValueError

    first, second = Notebook(before=never), Notebook()
    await record(transactions, "u:1")
    async with running(transactions, first):
        await until(lambda: len(first.offered) == 5)
    ids = await record(transactions, "u:2")
    async with running(transactions, second):
        await until(lambda: second.got)
    assert second.ids == ids


async def test_event_that_is_accepted_at_last_is_not_dead_lettered(transactions: Transactions) -> None:
    async def ask(event: Event) -> None:
        if len(notebook.offered) < 5:
            raise ValueError

    notebook = Notebook(before=ask)
    ids = await record(transactions, "u:1")
    async with running(transactions, notebook):
        await until(lambda: notebook.got)
    assert notebook.ids == ids
    assert await dead_letters(transactions) == []


async def test_outages_do_not_count_against_the_event(transactions: Transactions) -> None:
    async def ask(event: Event) -> None:
        if len(notebook.offered) < 12:
            raise ValueError if len(notebook.offered) % 3 == 0 else SinkUnavailable

    notebook = Notebook(before=ask)
    await record(transactions, "u:1")
    async with running(transactions, notebook):
        await until(lambda: notebook.got)
    assert await dead_letters(transactions) == []


async def test_delivery_that_was_cancelled_from_within_counts_against_the_event(
    transactions: Transactions,
) -> None:
    ids = await record(transactions, "u:1", "u:2")

    async def ask(event: Event) -> None:
        if event.id == ids[0]:
            raise asyncio.CancelledError

    notebook = Notebook(before=ask)
    async with running(transactions, notebook):
        await until(lambda: notebook.got)
    assert notebook.ids == ids[1:]
    assert [event_id for _, event_id, _ in await dead_letters(transactions)] == ids[:1]


# --- numbers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "faulty",
    [
        {"batch_size": 0},
        {"tries": 0},
        {"poll": timedelta(0)},
        {"first_pause": timedelta(seconds=-1)},
        {"lease": timedelta(seconds=10), "time_limit": timedelta(seconds=6)},
    ],
)
def test_numbers_that_cannot_work_are_refused(faulty: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|may be"):
        DeliveryPolicy(**faulty)


def test_pauses_double_with_jitter_up_to_the_longest() -> None:
    given = DeliveryPolicy(first_pause=timedelta(seconds=1), longest_pause=timedelta(seconds=5))
    for failures, whole in [(1, 1), (2, 2), (3, 4), (4, 5), (5, 5), (100_000, 5)]:
        pauses = {given.pause_after(failures).total_seconds() for _ in range(20)}
        assert whole / 2 <= min(pauses) < max(pauses) <= whole


async def test_two_sinks_of_one_name_are_refused(transactions: Transactions) -> None:
    with pytest.raises(ValueError, match="same name"):
        Relay(transactions, [Notebook(), Notebook()], owner="one", now=Clock())
