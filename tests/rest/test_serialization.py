"""JSON of long answers: the same text as in one piece, and turns for other requests in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
from starlette.responses import JSONResponse, Response

from czo_auth.asgi.long_lists import ITEMS_AT_ONCE, in_turns, write_json
from czo_auth.core.access import ACCOUNT
from czo_auth.rest import records
from czo_auth.rest.answers import attachment
from czo_auth.rest.routing import Routes
from czo_auth.rest.serialization import serialize

T = TypeVar("T")
TURNS = 20
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
