"""Notices changes of other processes: LISTEN/NOTIFY behind the change tokens of PostgreSQL's lookups."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from czo_auth.storage.postgresql_server import Connection, PostgresServer

_LOG = logging.getLogger("czo_auth.storage")
_PAUSE_SECONDS: Final = 0.2


class ChangeWatch:
    """
    Holds a connection that listens, and a change token that changes with every notification.

    While the connection is down there is no change token, and a new connection starts with a new one, so no
    notification is missed. A notification takes a fraction of a millisecond. In case one is lost, a process must drop
    what it cached under a change token after *bound*.

    Args:
        channel: What the triggers notify.
        bound: Also how long a connection may be unresponsive before it counts as dead.
    """

    def __init__(self, server: PostgresServer, *, channel: str, bound: timedelta) -> None:
        self._server = server
        self._channel = channel
        self._timeout = bound.total_seconds() / 2
        self._change_token: object | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    def change_token(self) -> object | None:
        """Return the current change token; None while not listening, or on another event loop than the listener's."""
        return self._change_token if asyncio.get_running_loop() is self._loop else None

    async def start(self) -> None:
        """Start listening, and return once it is known whether that works."""
        if self._task is not None:
            return
        self._loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._listen_for_ever(ready))
        with suppress(TimeoutError):
            await asyncio.wait_for(ready.wait(), self._timeout + 1)

    async def stop(self) -> None:
        """Stop listening; from then on there is no change token."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen_for_ever(self, ready: asyncio.Event) -> None:
        while True:
            try:
                await self._listen(ready)
            except Exception as error:
                _LOG.warning(
                    "changes are not heard (%s); nothing is remembered meanwhile", type(error).__name__
                )
            finally:
                self._change_token = None
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self, ready: asyncio.Event) -> None:
        connection = await self._server.connect()
        self._lost.clear()
        try:
            connection.add_termination_listener(self._hang_up)
            await connection.add_listener(self._channel, self._changed)
            self._change_token = object()
            ready.set()
            await self._hold(connection)
        finally:
            connection.terminate()

    async def _hold(self, connection: Connection) -> None:
        while not self._lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self._timeout)
            if not self._lost.is_set():
                await asyncio.wait_for(connection.fetchval("SELECT 1"), self._timeout)

    def _changed(self, *_: Any) -> None:
        self._change_token = object()

    def _hang_up(self, _: Any) -> None:
        self._change_token = None
        self._lost.set()
