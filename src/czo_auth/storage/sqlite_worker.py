"""A thread with one SQLite connection that runs steps one after the other."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.transaction import Transaction
from czo_auth.storage.column_types import json_text
from czo_auth.storage.errors import sqlite_error
from czo_auth.storage.sqlite_batch import Progress, StepQueue, WaitingCall, WaitingStep, perform_batch
from czo_auth.storage.sqlite_file import TURN_SECONDS, begin_when_free, inherited, is_busy
from czo_auth.storage.tables import Tables
from czo_auth.storage.transaction import perform

T = TypeVar("T")

SHARED_SECONDS: Final = 1.0
"""How long after another connection's write the file counts as shared."""

LONG_SECONDS: Final = 0.02
"""After a transaction of this length the pause for others costs so little that they need not have written before."""


class SqliteWorker:
    """
    Steps in a thread, each between *begin* and COMMIT.

    Opened when first needed, and again after an error: a file that comes back is used without a restart.

    Args:
        connect: Opens a raw connection; runs in the thread.
        begin: ``BEGIN IMMEDIATE``, so that a step never finds out halfway that another writes, or ``BEGIN``.
        timeout: Seconds that a step may wait, in the queue and for locks together; see `WaitingStep`.
        max_batch: How many steps may share one transaction; 1 gives each its own.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[], sqlite3.Connection],
        begin: str,
        tables: Tables,
        timeout: float,
        max_batch: int = 1,
    ) -> None:
        self._name = name
        self._begin = begin
        self._tables = tables
        self._timeout = timeout
        self._max_batch = max_batch
        self._may_write = begin != "BEGIN"
        self._data_version: int | None = None
        self._shared_until = 0.0
        self._engine = create_engine(
            "sqlite://", creator=connect, poolclass=NullPool, json_serializer=json_text, hide_parameters=True
        )
        self._connection: Connection | None = None
        self._guard = threading.Lock()
        self._queue = StepQueue()
        self._progress = Progress()
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None

    async def run(self, step: Callable[[Transaction], T]) -> T:
        """
        Run *step* in a transaction: all or nothing.

        Raises:
            StorageUnavailable: Its turn did not come in time, or the database does not work.
        """
        future: Future[T] = Future()
        progress = self._progress
        self._submit(WaitingStep(step, future, self._timeout, time.monotonic(), progress, progress.seconds))
        return await asyncio.wrap_future(future)

    async def open(self) -> None:
        """
        Open the connection now, to learn whether it works.

        Raises:
            StorageUnavailable: It does not.
        """
        future: Future[Connection] = Future()
        self._submit(WaitingCall(self._opened, future))
        await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Finish the queued jobs, close the connection and end the thread."""
        with self._guard:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._ending = thread
            done: Future[None] = Future()
            self._queue.put(WaitingCall(self._drop, done))
            self._queue.put(None)
        await asyncio.wrap_future(done)
        thread.join()

    def leave_inherited(self) -> None:
        """Drop the parent's thread and connection in a forked child."""
        inherited.append(self._connection)
        self._connection = None
        self._guard = threading.Lock()
        self._queue = StepQueue()
        self._thread = self._ending = None

    def begin(self, *, timeout: float) -> sqlite3.Connection:
        """Begin a transaction; part of `BatchConnection`."""
        if timeout <= 0:
            raise StorageUnavailable
        connection = self._opened()
        connection.begin()
        raw: Any = connection.connection.driver_connection
        self._give_others_a_turn()
        begin_when_free(raw, self._begin, timeout=timeout)
        self._look_for_others(raw)
        return raw  # type: ignore[no-any-return]

    def perform(self, step: Callable[[Transaction], Any]) -> Any:
        """Run *step* and write what it recorded; part of `BatchConnection`."""
        return perform(step, self._opened(), self._tables)

    def commit(self) -> None:
        """Commit; part of `BatchConnection`."""
        self._opened().commit()

    def roll_back(self, error: BaseException) -> BaseException:
        """Bring the connection back to a clean state, or give it up; part of `BatchConnection`."""
        known = sqlite_error(error) if isinstance(error, Exception) else error
        if isinstance(known, StorageUnavailable) and known is not error and not is_busy(error):
            self._drop()
            return known
        try:
            if self._connection is not None:
                self._connection.rollback()
                raw: Any = self._connection.connection.driver_connection
                if raw.in_transaction:
                    # SQLAlchemy counts a transaction whose COMMIT failed as over; SQLite does not.
                    raw.execute("ROLLBACK")
        except Exception:
            self._drop()
        return known

    def _look_for_others(self, raw: sqlite3.Connection) -> None:
        """Notice whether another connection wrote since the last transaction of this one."""
        (version,) = raw.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self._shared_until = time.monotonic() + SHARED_SECONDS

    def _give_others_a_turn(self) -> None:
        """
        Leave the file free for a moment between two transactions while others write to it, and after a long one.

        A waiting connection polls once a millisecond. It would miss most of the gaps between two transactions of a
        connection that always has something to write, and could wait for many of them.
        """
        if not self._may_write:
            return
        now, last = time.monotonic(), self._progress
        pause = TURN_SECONDS - (now - last.ended_at)
        if pause > 0 and (now < self._shared_until or last.last_transaction >= LONG_SECONDS):
            time.sleep(pause)

    def _submit(self, job: WaitingStep | WaitingCall) -> None:
        with self._guard:
            if self._thread is None:
                # A queue of its own, so that a thread that is ending never takes a new job.
                self._queue = StepQueue()
                self._thread = threading.Thread(
                    target=self._work, args=(self._queue, self._ending), name=self._name, daemon=True
                )
                self._thread.start()
            self._queue.put(job)

    def _work(self, queue: StepQueue, before: threading.Thread | None) -> None:
        if before is not None:
            # It still uses the connection, and closes it.
            before.join()
        while (job := queue.get()) is not None:
            if isinstance(job, WaitingCall):
                job.answer()
            elif job.future.set_running_or_notify_cancel():
                perform_batch(self, job, queue, max_steps=self._max_batch)
            # Drop all references to a step, its results and tracebacks before waiting for the next one.
            del job

    def _opened(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except Exception as error:
                raise sqlite_error(error) from None
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not returned to a pool that would roll back first: on a broken file that may fail, or wait.
            connection.invalidate()
            connection.close()
