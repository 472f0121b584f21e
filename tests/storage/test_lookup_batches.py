"""Lookups that are asked together: each gets its own answer, and one that goes away takes nobody along."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from czo_auth.storage.lookup_batches import BATCH, LookupBatches


class Database:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.go = asyncio.Event()
        self.fault: BaseException | None = None

    async def ask(self, sql: str, values: Sequence[str]) -> Sequence[Any]:
        self.asked.append(list(values))
        await self.go.wait()
        if self.fault is not None:
            raise self.fault
        return [(sql, value) for value in values if value != "unknown"]


async def test_free_connection_is_used_at_once_and_the_rest_is_gathered() -> None:
    database = Database()
    batches = LookupBatches(database.ask, at_once=2)
    looking = []
    for number in range(9):
        looking.append(asyncio.create_task(batches.find("q", f"v{number}")))
        await asyncio.sleep(0.01)
    assert database.asked == [["v0"], ["v1"]]
    database.go.set()
    assert await asyncio.gather(*looking) == [("q", f"v{number}") for number in range(9)]
    assert database.asked[2] == [f"v{number}" for number in range(2, 9)]


async def test_each_statement_has_its_own_questions() -> None:
    database = Database()
    database.go.set()
    batches = LookupBatches(database.ask, at_once=1)
    both = await asyncio.gather(batches.find("a", "x"), batches.find("b", "x"))
    assert both == [("a", "x"), ("b", "x")]


async def test_unknown_and_doubled_values() -> None:
    database = Database()
    database.go.set()
    batches = LookupBatches(database.ask, at_once=1)
    found = await asyncio.gather(*(batches.find("q", value) for value in ("x", "unknown", "x")))
    assert found == [("q", "x"), None, ("q", "x")]


async def test_lookup_right_after_an_answer_is_asked_too() -> None:
    database = Database()
    database.go.set()
    batches = LookupBatches(database.ask, at_once=1)
    for number in range(20):
        assert await asyncio.wait_for(batches.find("q", str(number)), 60) == ("q", str(number))


async def test_question_never_begins_before_the_call() -> None:
    database = Database()
    batches = LookupBatches(database.ask, at_once=1)
    first = asyncio.create_task(batches.find("q", "x"))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(batches.find("q", "x"))
    await asyncio.sleep(0.01)
    database.go.set()
    await asyncio.gather(first, second)
    assert database.asked == [["x"], ["x"]]


async def test_caller_that_disconnects_does_not_cancel_others() -> None:
    database = Database()
    batches = LookupBatches(database.ask, at_once=1)
    looking = [asyncio.create_task(batches.find("q", f"v{number}")) for number in range(4)]
    await asyncio.sleep(0.01)
    looking[0].cancel()
    looking[2].cancel()
    database.go.set()
    found = await asyncio.gather(*looking, return_exceptions=True)
    assert found[1] == ("q", "v1")
    assert found[3] == ("q", "v3")
    assert await batches.find("q", "later") == ("q", "later")


async def test_fault_reaches_all_that_were_asked_and_no_later_one() -> None:
    database = Database()
    batches = LookupBatches(database.ask, at_once=1)
    looking = [asyncio.create_task(batches.find("q", f"v{number}")) for number in range(3)]
    await asyncio.sleep(0.01)
    database.fault = OSError("gone")
    database.go.set()
    assert all(isinstance(one, OSError) for one in await asyncio.gather(*looking, return_exceptions=True))
    database.fault = None
    assert await batches.find("q", "x") == ("q", "x")


async def test_many_are_split() -> None:
    database = Database()
    database.go.set()
    batches = LookupBatches(database.ask, at_once=1)
    await asyncio.gather(*(batches.find("q", str(number)) for number in range(3 * BATCH)))
    assert max(map(len, database.asked)) <= BATCH


async def test_question_that_is_ended_ends_the_lookups() -> None:
    database = Database()
    batches = LookupBatches(database.ask, at_once=1)
    looking = asyncio.create_task(batches.find("q", "x"))
    await asyncio.sleep(0.01)
    for task in batches._tasks:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(looking, 60)
