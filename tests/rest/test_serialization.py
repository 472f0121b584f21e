"""JSON of long answers: the same text as in one piece, and turns for other requests in between."""

from __future__ import annotations

import asyncio
import inspect
import json
import pkgutil
import time
from collections.abc import AsyncIterator, Awaitable
from importlib import import_module
from typing import Any, TypeVar

import pytest
from starlette.responses import JSONResponse, Response

from czo_auth import rest
from czo_auth.asgi.long_lists import (
    ITEMS_AT_ONCE,
    PAUSE_SECONDS,
    PAUSES_AFTER,
    PAUSES_EVERY,
    in_parts,
    in_turns,
    write_json,
)
from czo_auth.core.access import ACCOUNT
from czo_auth.core.paging import Page
from czo_auth.rest import records
from czo_auth.rest.answers import attachment
from czo_auth.rest.routing import Routes
from czo_auth.rest.serialization import listed, serialize

T = TypeVar("T")
TURNS = 100
MANY = TURNS * ITEMS_AT_ONCE + 1


class Switches(records.Record):
    """A record with a list, named as JSON names it."""

    all_switches: list[records.Succeeded]
    names: list[str]
    total: int


async def turns_during(work: Awaitable[T]) -> tuple[T, int]:
    """Do *work*, which waits for nothing but its turn; return how many turns others had meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    result = await work
    waiting.cancel()
    return result, turns


def switches(count: int) -> Switches:
    return Switches(
        all_switches=[records.Succeeded(success=True)] * count, names=["größe\u2028"] * count, total=count
    )


@pytest.mark.parametrize(
    "answer",
    [
        *(None, [], records.DONE, [records.DONE], [records.DONE] * MANY, list(range(MANY)), "x" * MANY),
        *(switches(count) for count in (0, 1, ITEMS_AT_ONCE, ITEMS_AT_ONCE + 1, MANY)),
        {"audit": [{"a": [1] * MANY}] * MANY, "empty": [], "größe": "ß", "none": None},
    ],
    ids=lambda answer: type(answer).__name__,
)
async def test_text_is_the_same_as_in_one_piece(answer: Any) -> None:
    assert await serialize(answer) == JSONResponse(records.dump(answer)).body
    assert await write_json(records.dump(answer)) == JSONResponse(records.dump(answer)).body


def rests_after(done: int) -> bool:
    return done >= PAUSES_AFTER and done % PAUSES_EVERY == 0


async def test_loop_rests_now_and_then_in_a_list_that_is_longer_than_a_usual_page() -> None:
    rests = sum(map(rests_after, range(ITEMS_AT_ONCE, MANY, ITEMS_AT_ONCE)))
    assert rests > 10
    for work in written_and_read(MANY):
        begun = time.perf_counter()
        await work
        assert time.perf_counter() - begun >= rests * PAUSE_SECONDS


@pytest.mark.parametrize("count", [ITEMS_AT_ONCE, PAUSES_AFTER, MANY - 1])
async def test_only_what_comes_after_a_usual_page_waits_for_a_rest(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    gaps = range(ITEMS_AT_ONCE, count, ITEMS_AT_ONCE)
    for work in written_and_read(count):
        waits.clear()
        await work
        assert waits == [PAUSE_SECONDS if rests_after(done) else 0 for done in gaps]


async def test_other_threads_may_run_after_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[float] = []
    monkeypatch.setattr(time, "sleep", moments.append)
    for work in written_and_read(MANY):
        moments.clear()
        await work
        assert len(moments) == TURNS
        # No time to sleep is none to wake another thread up.
        assert min(moments) > 0


def written_and_read(count: int) -> tuple[Awaitable[object], ...]:
    """Return the three ways to go through a list of so many items."""
    items = [1] * count
    return write_json({"all": items}), drained(in_turns(items)), drained(in_parts(items))


async def drained(parts: AsyncIterator[Any]) -> None:
    async for _ in parts:
        pass


async def test_other_requests_have_their_turns_while_a_long_list_is_written() -> None:
    routes = Routes("switches")

    @routes.add("GET", "/switches", access=ACCOUNT)
    async def list_switches() -> Switches:
        return switches(MANY)

    endpoint: Any = routes.router.routes[0].endpoint  # type: ignore[attr-defined]
    answer, turns = await turns_during(endpoint())
    assert isinstance(answer, Response)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert len(json.loads(bytes(answer.body))["allSwitches"]) == MANY
    assert turns >= TURNS


class Numbers(records.Record):
    """A page of numbers."""

    numbers: list[int]
    total: int
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[int]) -> Numbers:
        return cls(numbers=list(page.items), total=page.total, next_cursor=page.next_cursor)


@pytest.mark.parametrize("count", [0, 1, ITEMS_AT_ONCE, ITEMS_AT_ONCE + 1, MANY])
async def test_page_that_is_made_in_parts_is_the_page(count: int) -> None:
    page = Page(items=range(count), total=count + 7, next_cursor="next")
    assert await listed(Numbers.of, page) == Numbers.of(page)


async def test_other_requests_have_their_turns_while_the_records_of_a_page_are_made() -> None:
    answer, turns = await turns_during(listed(Numbers.of, Page(items=range(MANY), total=MANY)))
    assert answer.numbers == list(range(MANY))
    assert turns >= TURNS


def test_every_route_with_pages_makes_them_in_parts() -> None:
    """A route that made 500 records at once would stop all other requests of the process meanwhile."""
    at_once = []
    for module in pkgutil.iter_modules(rest.__path__):
        for name, route in inspect.getmembers(
            import_module(f"czo_auth.rest.{module.name}"), inspect.isfunction
        ):
            answer = inspect.signature(route, eval_str=True).return_annotation
            pages = (
                inspect.isclass(answer)
                and hasattr(answer, "model_fields")
                and "next_cursor" in answer.model_fields
            )
            # The sessions of a user are few, and what a helper returns is checked with the helper.
            in_parts = ("await listed(", "return await _", "records.SessionPage.of(")
            if pages and not any(each in inspect.getsource(route) for each in in_parts):
                at_once.append(f"{module.name}.{name}")
    assert at_once == []


async def test_other_requests_have_their_turns_while_an_export_is_written() -> None:
    answer, turns = await turns_during(attachment({"audit": [{"action": "x"}] * MANY}, "account.json"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert len(json.loads(bytes(answer.body))["audit"]) == MANY
    assert turns >= TURNS


async def test_other_requests_have_their_turns_while_rows_are_made() -> None:
    async def rows() -> list[int]:
        return [number async for number in in_turns(range(MANY))]

    made, turns = await turns_during(rows())
    assert made == list(range(MANY))
    assert turns >= TURNS
