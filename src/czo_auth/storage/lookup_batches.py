"""Batching of lookups that wait for a connection: ten rows cost PostgreSQL little more than one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

BATCH: Final = 64
"""Values per query; with more, the first ones only wait longer."""

Ask = Callable[[str, Sequence[str]], Awaitable[Sequence[Any]]]
"""Returns the rows of a statement for some values; the last column of a row is the value that it was found by."""


class LookupBatches:
    """
    Queries immediately while a connection is free, and otherwise collects lookups for the next query.

    No lookup waits for others to join, and a query never starts before the calls that it answers. Belongs to one event
    loop.

    Args:
        ask: Queries the database.
        at_once: How many concurrent queries each statement may have.
    """

    def __init__(self, ask: Ask, *, at_once: int) -> None:
        self._ask = ask
        self._at_once = at_once
        self._waiting: dict[str, list[tuple[str, asyncio.Future[Any]]]] = {}
        self._under_way: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, sql: str, value: str) -> Any | None:
        """
        Find the row for a value, or None.

        Raises:
            Exception: What *ask* raised, for all that were asked together.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.setdefault(sql, []).append((value, answer))
        under_way = self._under_way.get(sql, 0)
        if under_way < self._at_once:
            self._under_way[sql] = under_way + 1
            task = loop.create_task(self._answer(sql))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _answer(self, sql: str) -> None:
        """Query until no lookup is waiting."""
        try:
            while waiting := self._waiting.get(sql):
                batch = [(value, answer) for value, answer in waiting[:BATCH] if not answer.done()]
                del waiting[:BATCH]
                if batch:
                    await self._answer_batch(sql, batch)
        finally:
            # Without an await since the last check: a later lookup sees that it has to start its own query.
            self._under_way[sql] -= 1

    async def _answer_batch(self, sql: str, batch: Sequence[tuple[str, asyncio.Future[Any]]]) -> None:
        try:
            rows = await self._ask(sql, [value for value, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        except asyncio.CancelledError:
            for _, answer in batch:
                answer.cancel()
            raise
        found = {row[-1]: row for row in rows}
        for value, answer in batch:
            if not answer.done():
                answer.set_result(found.get(value))
