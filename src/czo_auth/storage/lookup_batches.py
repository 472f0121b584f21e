"""Lookups that wait for a connection, asked together: one question costs PostgreSQL little more for ten rows than for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

MOST: Final = 64
"""Values in one question; more only make the first of them wait."""

Ask = Callable[[str, Sequence[str]], Awaitable[Sequence[Any]]]
"""Gives the rows of a statement for some values; the last column of a row is the value that it was found by."""


class LookupBatches:
    """
    Asks at once while a connection is free, and gathers what comes meanwhile for the next question.

    Nobody waits for others to join, and a question never begins before the call it answers. Belongs to one event loop.

    Args:
        ask: Asks the database.
        at_once: So many questions may be under way for each statement.
    """

    def __init__(self, ask: Ask, *, at_once: int) -> None:
        self._ask = ask
        self._at_once = at_once
        self._waiting: dict[str, list[tuple[str, asyncio.Future[Any]]]] = {}
        self._asking: dict[str, set[asyncio.Task[None]]] = {}

    async def find(self, sql: str, value: str) -> Any | None:
        """
        Find the row for a value, or None.

        Raises:
            Exception: What *ask* raised, for all that were asked together.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.setdefault(sql, []).append((value, answer))
        asking = self._asking.setdefault(sql, set())
        if len(asking) < self._at_once:
            task = loop.create_task(self._answer(sql))
            asking.add(task)
            task.add_done_callback(asking.discard)
        return await answer

    async def _answer(self, sql: str) -> None:
        """Ask until nobody waits."""
        while waiting := self._waiting.get(sql):
            batch = [(value, answer) for value, answer in waiting[:MOST] if not answer.done()]
            del waiting[:MOST]
            try:
                rows = await self._ask(sql, [value for value, _ in batch]) if batch else ()
            except BaseException as error:
                for _, answer in batch:
                    _fail(answer, error)
                if not isinstance(error, Exception):
                    raise
                continue
            found = {row[-1]: row for row in rows}
            for value, answer in batch:
                if not answer.done():
                    answer.set_result(found.get(value))


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if answer.done():
        return
    if isinstance(error, asyncio.CancelledError):
        answer.cancel()
    else:
        answer.set_exception(error)
