"""
``czo-auth serve`` whose workers note what they do when: ``python -m benchmarks.hosts.timed_serve serve``.

Linux only. Everything else is as usual: the hooks are put into Python's event loop and around the application before
the command begins. A worker writes its notes into the folder `BENCH_NOTES` when it ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import time
from array import array
from asyncio import events
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from czo_auth.cli import main
from czo_auth.crypto import passwords, qr
from czo_auth.server import Server
from czo_auth.storage import sqlite_worker

NUMBER: Final = b"x-bench-number"
"""Header with the number of a key check."""

_served: ContextVar[str] = ContextVar("served", default="")
"""Method and path of the request whose code runs."""

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


HASHES, DRAWS, WRITES, COMMITS, READS = range(5)
"""What the other threads do that a request may wait for."""


class Notes:
    """
    What a worker did, in nanoseconds of the monotonic clock.

    Attributes:
        turns: Each callback: when it began and ended, its thread's CPU time, and the place of its name in *names*.
        checks: Each numbered request: its number, when the server handed it to the loop, when the application was
            called and when it had answered.
        works: Each piece of work of another thread: when it began and ended, and which of `HASHES` and so on it was.
        collections: Each run of the garbage collector, in whatever thread: when it began and ended.
    """

    def __init__(self) -> None:
        self.turns = array("q")
        self.checks = array("q")
        self.works = array("q")
        self.collections = array("q")
        self.names: dict[str, int] = {}
        self._handed_over: dict[int, int] = {}

    def install(self) -> None:
        """Note what all event loops and servers of this process and its forks do from now on."""
        handle: Any = events.Handle
        loop: Any = asyncio.base_events.BaseEventLoop
        server: Any = Server
        handle._run = self._noting(handle._run)
        loop.call_soon_threadsafe = self._handing_over(loop.call_soon_threadsafe)
        server.__call__ = self._checking(server.__call__)
        server.ending = self._writing(server.ending)
        worker: Any = sqlite_worker
        passwords.verify_password = self._working(passwords.verify_password, HASHES)
        qr.svg_data_uri = self._working(qr.svg_data_uri, DRAWS)
        worker.SqliteWorker.commit = self._working(worker.SqliteWorker.commit, COMMITS)
        worker.perform_batch = self._batching(worker.perform_batch)
        gc.callbacks.append(self._collecting)

    def _noting(self, run: Callable[[Any], None]) -> Callable[[Any], None]:
        names, add = self.names, self.turns.extend
        clock, cpu = time.monotonic_ns, time.thread_time_ns

        def noted(handle: Any) -> None:
            context = handle._context
            begun, used = clock(), cpu()
            run(handle)
            used, ended = cpu() - used, clock()
            name = context.get(_served, "")
            add((begun, ended, used, names.setdefault(name, len(names))))

        return noted

    def _handing_over(self, call_soon: Callable[..., Any]) -> Callable[..., Any]:
        handed_over = self._handed_over

        def call(loop: Any, callback: Any, *arguments: Any, context: Any = None) -> Any:
            # The server hands the application's coroutine over; its own object is the key that both sides know.
            if arguments and asyncio.iscoroutine(arguments[0]):
                handed_over[id(arguments[0])] = time.monotonic_ns()
            return call_soon(loop, callback, *arguments, context=context)

        return call

    def _working(self, work: Callable[..., Any], kind: int) -> Callable[..., Any]:
        def worked(*arguments: Any, **named: Any) -> Any:
            begun = time.monotonic_ns()
            try:
                return work(*arguments, **named)
            finally:
                self.works.extend((begun, time.monotonic_ns(), kind))

        return worked

    def _batching(self, perform: Callable[..., Any]) -> Callable[..., Any]:
        write, read = self._working(perform, WRITES), self._working(perform, READS)

        def performed(connection: Any, *arguments: Any, **named: Any) -> Any:
            return (write if connection._may_write else read)(connection, *arguments, **named)

        return performed

    def _collecting(self, phase: str, _: Any) -> None:
        # One at a time, and nothing else runs meanwhile.
        self.collections.append(time.monotonic_ns())

    def _checking(self, serve: Callable[..., Any]) -> Callable[..., Any]:
        async def checked(server: Any, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await serve(server, scope, receive, send)
                return
            called = time.monotonic_ns()
            task: Any = asyncio.current_task()
            handed_over = self._handed_over.pop(id(task.get_coro()), called)
            number = next((value for name, value in scope["headers"] if name == NUMBER), None)
            _served.set(_name_of(scope) if number is None else "a key check")
            await serve(server, scope, receive, send)
            if number is not None:
                self.checks.extend((int(number), handed_over, called, time.monotonic_ns()))

        return checked

    def _writing(self, end: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def ending(server: Any) -> None:
            await end(server)
            folder = Path(os.environ["BENCH_NOTES"])
            (folder / "names.json").write_text(json.dumps(list(self.names)))
            for name, notes in (
                ("turns", self.turns),
                ("checks", self.checks),
                ("works", self.works),
                ("collections", self.collections),
            ):
                (folder / name).write_bytes(notes.tobytes())

        return ending


def _name_of(scope: Any) -> str:
    return f"{scope['method']} {_ID.sub('{id}', scope['path'])}"


if __name__ == "__main__":
    Notes().install()
    main()
