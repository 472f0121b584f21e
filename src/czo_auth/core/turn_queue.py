"""Coroutines of one burst continue a few at a time, so that checks of credentials run in between."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from czo_auth.core.interpreter_lock import let_other_threads_run

MANY_WAITING: Final = 32
"""
While more coroutines wait, only one continues in each turn, and a server's thread that hands over new
requests may do so before the next. Both cost throughput, so a shorter queue is worked off without them.
"""


class TurnQueue:
    """
    Lets a few coroutines continue in each turn of the event loop, in the order in which they came.

    A turn runs everything that is ready. Otherwise all coroutines of a burst are ready in one turn, and a check of a
    key that arrives meanwhile waits for all of them.

    Args:
        at_once: How many continue in one turn.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._queue: _LoopQueue | None = None

    async def wait(self) -> None:
        """Wait until the caller may continue."""
        loop = asyncio.get_running_loop()
        # A host may run several loops, each in its own thread, and under test one comes after the other. Read once:
        # another thread may put the queue of its own loop there at any time.
        queue = self._queue
        if queue is None or queue.loop is not loop:
            queue = self._queue = _LoopQueue(loop, self._at_once)
        await queue.wait()


class _LoopQueue:
    """The coroutines that wait in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, at_once: int) -> None:
        self.loop = loop
        self._at_once = at_once
        self._continued = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        if self._continued == 0:
            self.loop.call_soon(self._next)
        if self._continued < self._at_once:
            self._continued += 1
            return
        future = self.loop.create_future()
        self._waiting.append(future)
        await future

    def _next(self) -> None:
        """Begin the next turn."""
        self._continued = 0
        many_wait = len(self._waiting) > MANY_WAITING
        if many_wait:
            let_other_threads_run()
        while self._waiting and self._continued < (1 if many_wait else self._at_once):
            future = self._waiting.popleft()
            # One that is done was canceled: its client has disconnected.
            if not future.done():
                future.set_result(None)
                self._continued += 1
        if self._continued:
            self.loop.call_soon(self._next)
