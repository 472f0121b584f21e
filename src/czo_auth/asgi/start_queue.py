"""Requests that arrive in the same instant begin a few at a time, so that checks of credentials run in between."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

BEGIN_AT_ONCE: Final = 2
"""Requests that begin in one turn of the event loop; each computes for a while before it first waits."""


class StartQueue:
    """
    Lets `BEGIN_AT_ONCE` requests begin in each turn of the event loop, in the order in which they came.

    A turn runs everything that is ready. Otherwise the requests of a burst are all ready in one turn, and a check of
    a key that arrives meanwhile waits for all of them.
    """

    def __init__(self) -> None:
        self._queue: _LoopQueue | None = None

    async def wait(self) -> None:
        """Wait until the request may begin."""
        loop = asyncio.get_running_loop()
        # Under test, an application is used by one loop after the other, and a closed one answers nobody.
        if self._queue is None or self._queue.loop is not loop:
            self._queue = _LoopQueue(loop)
        await self._queue.wait()


class _LoopQueue:
    """The requests that wait in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        if self._begun == 0:
            self.loop.call_soon(self._next)
        if self._begun < BEGIN_AT_ONCE:
            self._begun += 1
            return
        future = self.loop.create_future()
        self._waiting.append(future)
        await future

    def _next(self) -> None:
        """Begin the next turn."""
        self._begun = 0
        while self._waiting and self._begun < BEGIN_AT_ONCE:
            future = self._waiting.popleft()
            # One that is done was canceled: its client has disconnected.
            if not future.done():
                future.set_result(None)
                self._begun += 1
        if self._begun:
            self.loop.call_soon(self._next)
