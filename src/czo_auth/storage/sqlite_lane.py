"""A thread with one SQLite connection, in which steps run one after the other."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.transaction import Transaction
from czo_auth.storage.column_types import json_text
from czo_auth.storage.faults import sqlite_fault
from czo_auth.storage.sqlite_file import begin_when_free, is_busy, left_to_parent
from czo_auth.storage.tables import Tables
from czo_auth.storage.transaction import perform

T = TypeVar("T")

Job = tuple[Callable[[], Any], "Future[Any]"]


class Lane:
    """
    Steps in a thread, each between *begin* and COMMIT.

    Opened when first needed, and again after a fault: a file that comes back is used without a restart.

    Args:
        connect: Opens a raw connection; runs in the thread.
        begin: ``BEGIN IMMEDIATE``, so that a step never finds out halfway that another writes, or ``BEGIN``.
        patience: Seconds that a step may wait, in the queue and for locks together.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[], sqlite3.Connection],
        begin: str,
        tables: Tables,
        patience: float,
    ) -> None:
        self._name = name
        self._begin = begin
        self._tables = tables
        self._patience = patience
        self._engine = create_engine(
            "sqlite://", creator=connect, poolclass=NullPool, json_serializer=json_text, hide_parameters=True
        )
        self._connection: Connection | None = None
        self._guard = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, step: Callable[[Transaction], T]) -> T:
        """
        Run *step* in a transaction of its own.

        Raises:
            StorageUnavailable: Its turn did not come in time, or the database does not work.
        """
        asked_at = time.monotonic()
        return await asyncio.wrap_future(self._submit(lambda: self._perform(step, asked_at)))

    async def open(self) -> None:
        """
        Open the connection now, to learn whether it works.

        Raises:
            StorageUnavailable: It does not.
        """
        await asyncio.wrap_future(self._submit(self._opened))

    async def close(self) -> None:
        """Finish what was asked so far, close the connection and end the thread."""
        with self._guard:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            done: Future[None] = Future()
            self._jobs.put((self._drop, done))
            self._jobs.put(None)
        await asyncio.wrap_future(done)
        thread.join()

    def leave_to_parent(self) -> None:
        """Forget, in a forked child, the parent's thread and connection."""
        left_to_parent.append(self._connection)
        self._connection = None
        self._guard = threading.Lock()
        self._jobs = SimpleQueue()
        self._thread = None

    def _submit(self, act: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._guard:
            if self._thread is None:
                # A queue of its own, so that a thread that is ending never takes a new job.
                self._jobs = SimpleQueue()
                self._thread = threading.Thread(
                    target=_work, args=(self._jobs,), name=self._name, daemon=True
                )
                self._thread.start()
            self._jobs.put((act, future))
        return future

    def _perform(self, step: Callable[[Transaction], T], asked_at: float) -> T:
        left = self._patience - (time.monotonic() - asked_at)
        if left <= 0:
            raise StorageUnavailable
        connection = self._opened()
        transaction = connection.begin()
        try:
            raw: Any = connection.connection.driver_connection
            begin_when_free(raw, self._begin, patience=left)
            result = perform(step, connection, self._tables)
            transaction.commit()
        except BaseException as error:
            known = self._after(error)
            if known is error:
                raise
            raise known from None
        return result

    def _after(self, error: BaseException) -> BaseException:
        """Bring the connection back to a clean state, or give it up, and say what *error* is to the caller."""
        known = sqlite_fault(error) if isinstance(error, Exception) else error
        if isinstance(known, StorageUnavailable) and known is not error and not is_busy(error):
            self._drop()
            return known
        try:
            if self._connection is not None:
                self._connection.rollback()
        except Exception:
            self._drop()
        return known

    def _opened(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except Exception as error:
                raise sqlite_fault(error) from None
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not returned to a pool that would roll back first: on a broken file that may fail, or wait.
            connection.invalidate()
            connection.close()


def _work(jobs: SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        act, future = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(act())
            except BaseException as error:
                future.set_exception(error)
        # Nothing of one step, its results and tracebacks included, outlives it until the next one comes.
        del job, act, future
