"""Long lists, written in parts so that they do not stop the other requests of the process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, TypeGuard, TypeVar

from czo_auth.core.interpreter_lock import let_other_threads_run

T = TypeVar("T")

ITEMS_AT_ONCE: Final = 10
"""How many items of a list are made or written before other requests run; a fraction of a millisecond of work."""

PAUSES_AFTER: Final = 100
"""A list with more items is made and written more slowly, with a rest after every `PAUSES_EVERY`."""

PAUSES_EVERY: Final = 50

PAUSE_SECONDS: Final = 0.001
"""
How long a rest is. Event loops count in milliseconds: some round less up, others down to no rest.

Without it the loop is never idle while somebody asks for one long list after the other.
"""


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield *items*, and let other requests run after every `ITEMS_AT_ONCE`."""
    for number, item in enumerate(items):
        if number and number % ITEMS_AT_ONCE == 0:
            await _let_others_run(number)
        yield item


async def in_parts(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield *items* in parts of `ITEMS_AT_ONCE`, at least one, and let other requests run between two parts."""
    yield items[:ITEMS_AT_ONCE]
    for begin in range(ITEMS_AT_ONCE, len(items), ITEMS_AT_ONCE):
        await _let_others_run(begin)
        yield items[begin : begin + ITEMS_AT_ONCE]


async def write_json(value: object) -> bytes:
    """
    Write *value* as JSON in UTF-8, without spaces: what `starlette.responses.JSONResponse` writes.

    A list, or an object with lists, is written in parts. A thread would not help: the interpreter's JSON writer does
    not release the lock before it is done.
    """
    if not isinstance(value, dict) or not any(is_long(member) for member in value.values()):
        return await _written(value)
    members = [_encoded(name) + b":" + await _written(member) for name, member in value.items()]
    return b"{" + b",".join(members) + b"}"


async def stream_json(name: str, batches: AsyncIterator[Sequence[object]]) -> AsyncIterator[bytes]:
    """
    Write an object with the list *name*, as `write_json` does, in one part for each batch.

    No more than one batch is in memory. If a batch fails, the text ends before the list does, so no reader takes it for
    the whole.
    """
    yield b"{" + _encoded(name) + b":["
    is_first = True
    async for batch in batches:
        written = [_encoded(list(part))[1:-1] async for part in in_parts(batch) if part]
        if written:
            yield (b"" if is_first else b",") + b",".join(written)
            is_first = False
    yield b"]}"


async def _written(value: object) -> bytes:
    if not is_long(value):
        return _encoded(value)
    parts = []
    for begin in range(0, len(value), ITEMS_AT_ONCE):
        if begin:
            await _let_others_run(begin)
        parts.append(_encoded(value[begin : begin + ITEMS_AT_ONCE])[1:-1])
    return b"[" + b",".join(parts) + b"]"


async def _let_others_run(done: int) -> None:
    # First those who bring new requests and results from threads of their own, then what they brought.
    let_other_threads_run()
    rests = done >= PAUSES_AFTER and done % PAUSES_EVERY == 0
    await asyncio.sleep(PAUSE_SECONDS if rests else 0)


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def is_long(value: object) -> TypeGuard[list[Any]]:
    """Return whether *value* is a list that is written in parts."""
    return isinstance(value, list) and len(value) > ITEMS_AT_ONCE
