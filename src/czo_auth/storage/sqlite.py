"""Storage in one SQLite file: a thread that writes, one that reads, and lookups in the caller's thread."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from datetime import datetime
from mmap import mmap
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from czo_auth.core.context import Context
from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.transaction import CredentialRecord, Transaction
from czo_auth.core.turn_queue import TurnQueue
from czo_auth.storage.change_triggers import change_count_sql, has_all_change_triggers
from czo_auth.storage.errors import first_line, log, sqlite_error, unavailable
from czo_auth.storage.lookup_sql import api_key_record, lookup_sql, session_record
from czo_auth.storage.sqlite_batch import BATCH
from czo_auth.storage.sqlite_file import (
    TIMEOUT_SECONDS,
    connect_to_read,
    connect_to_write,
    create_private,
    database_path,
    inherited,
    is_busy,
)
from czo_auth.storage.sqlite_sharing import SharingConnection
from czo_auth.storage.sqlite_watch import HEADER_BYTES, header_of
from czo_auth.storage.sqlite_worker import SqliteWorker
from czo_auth.storage.tables import Tables, tables_of
from czo_auth.storage.transaction import bound
from czo_auth.storage.user_search_index import drop_search_triggers, sqlite_has_trigrams

if TYPE_CHECKING:
    from czo_auth.storage.facts import DatabaseFacts

T = TypeVar("T")

CONTINUE_AT_ONCE: Final = 2
"""Callers of one commit that continue in one turn of the event loop; each computes its response then."""
LOOKUP_TIMEOUT_SECONDS: Final = 0.1
"""Short, because a lookup blocks the event loop. With a write-ahead log readers only wait for recovery."""

_storages: weakref.WeakSet[SqliteStorage] = weakref.WeakSet()


class SqliteTransactions:
    """Implements `czo_auth.core.transaction.Transactions`."""

    def __init__(self, path: str, tables: Tables, *, timeout: float) -> None:
        self.writing = SqliteWorker(
            "czo-auth-write",
            connect=lambda: connect_to_write(path, factory=SharingConnection),
            begin="BEGIN IMMEDIATE",
            tables=tables,
            timeout=timeout,
            max_batch=BATCH,
        )
        self.reading = SqliteWorker(
            "czo-auth-read",
            connect=lambda: connect_to_read(path, factory=SharingConnection),
            begin="BEGIN",
            tables=tables,
            timeout=timeout,
        )
        self._continuing = TurnQueue(CONTINUE_AT_ONCE)

    async def run(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        try:
            result = await self.writing.run(bound(step, context))
        except Exception:
            await self._continuing.wait()
            raise
        await self._continuing.wait()
        return result

    async def read(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        return await self.reading.run(bound(step, context))


class SqliteLookup:
    """
    Implements `czo_auth.core.transaction.Lookup` in the calling thread.

    A switch to another thread and back costs ten times the query. Each thread has its own read-only connection; outside
    a transaction every query sees what was committed before it started.
    """

    def __init__(self, path: str, tables: Tables) -> None:
        self._path = path
        self._tables = tables
        self._sql = lookup_sql(tables.prefix, placeholder="?")
        self._forget()

    bound: Final = None

    def change_token(self) -> object | None:
        """
        Check whether a connection committed, and then whether its change may have removed a right.

        Every change is made by another connection than this.
        """
        try:
            reader = self._here.reader
        except AttributeError:
            reader = self._open()
        try:
            version = reader.header[:HEADER_BYTES] if reader.header is not None else reader.data_version()
            if version != reader.version:
                # In this order: a commit in between is seen as one more change of the header.
                count = reader.change_count()
                reader.version = version
                if count is None or count != reader.count:
                    reader.count = count
                    reader.change_token = None if count is None else object()
        except (sqlite3.Error, ValueError):
            return None
        return reader.change_token  # type: ignore[no-any-return]

    async def find_api_key(self, digest: str) -> CredentialRecord | None:
        row = self._row(self._sql.api_key, digest)
        return None if row is None else api_key_record(row)

    async def find_api_key_by_id(self, key_id: str) -> CredentialRecord | None:
        row = self._row(self._sql.api_key_by_id, key_id)
        return None if row is None else api_key_record(row)

    async def find_session(self, digest: str) -> CredentialRecord | None:
        row = self._row(self._sql.session, digest)
        return None if row is None else session_record(row)

    async def find_session_by_id(self, session_id: str) -> CredentialRecord | None:
        row = self._row(self._sql.session_by_id, session_id)
        return None if row is None else session_record(row)

    def close(self) -> None:
        """
        Close the connections of all threads; a later lookup opens a new one.

        A connection on which another thread is looking something up closes right after that: to close it under that
        thread would crash the process.
        """
        # The headers go with them: without a connection a header says nothing about the file that comes next.
        self._forget()

    def leave_inherited(self) -> None:
        """Drop the parent's connections in a forked child."""
        inherited.append((self._here, list(self._readers)))
        self._forget()

    def _forget(self) -> None:
        self._here = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()

    def _row(self, sql: str, value: str) -> Any | None:
        try:
            reader = self._here.reader
        except AttributeError:
            reader = self._open()
        try:
            # All rows, although there is at most one: a query that is not read to its end keeps its snapshot.
            rows = reader.cursor.execute(sql, (value,)).fetchall()
        except sqlite3.Error as error:
            if not is_busy(error):
                del self._here.reader
                reader.close()
            raise sqlite_error(error) from None
        return rows[0] if rows else None

    def _open(self) -> _Reader:
        try:
            reader = _Reader(
                connect_to_read(self._path, timeout=LOOKUP_TIMEOUT_SECONDS), self._path, self._tables
            )
        except sqlite3.Error as error:
            raise sqlite_error(error) from None
        self._here.reader = reader
        self._readers.add(reader)
        return reader


class _Reader:
    """
    One thread's connection, closed when the thread is gone.

    Attributes:
        header: What changes with each commit; None while nothing was read, or where it cannot be looked at.
        count: The number of changes that the change token is about.
    """

    def __init__(self, connection: sqlite3.Connection, path: str, tables: Tables) -> None:
        self.cursor = connection.cursor()
        self.version: int | bytes | None = None
        self.count: int | None = None
        self.change_token: object | None = None
        self.header: mmap | None = None
        self.close = weakref.finalize(self, connection.close)
        self._connection = connection
        self._path = path
        self._tables = tables
        self._schema: int | None = None
        self._has_triggers = False

    def data_version(self) -> int:
        """Ask SQLite, and from then on check the header, which exists once something was read."""
        (version,) = self.cursor.execute("PRAGMA data_version").fetchall()[0]
        self.header = header_of(self._path)
        return int(version)

    def change_count(self) -> int | None:
        """
        Read the number that the change triggers move.

        Returns:
            None where a trigger is missing or of another version, so that nothing is remembered.

        Raises:
            sqlite3.Error: The file is not migrated, or does not work.
        """
        (schema,) = self.cursor.execute("PRAGMA schema_version").fetchall()[0]
        if schema != self._schema:
            self._has_triggers = has_all_change_triggers(self._connection, self._tables)
            self._schema = schema
            if not self._has_triggers:
                log.warning("change triggers are missing or of another version; nothing is cached")
        if not self._has_triggers:
            return None
        (count,) = self.cursor.execute(change_count_sql(self._tables)).fetchall()[0]
        return int(count)


class SqliteStorage:
    """
    Implements `czo_auth.storage.Storage` over one file.

    Raises:
        ValueError: The address names no file, or the prefix is not usable.
    """

    dialect: Final[Literal["sqlite"]] = "sqlite"

    def __init__(self, url: str, *, table_prefix: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self.url = url
        self.path = database_path(url)
        self.tables = tables_of(table_prefix)
        self.transactions = SqliteTransactions(self.path, self.tables, timeout=timeout)
        self.lookup = SqliteLookup(self.path, self.tables)
        _storages.add(self)

    async def check_address(self) -> None:
        """Do nothing: there is no pooler in front of a file."""

    async def start(self) -> None:
        try:
            create_private(self.path)
        except OSError as error:
            raise unavailable(StorageUnavailable(), first_line(error)) from None
        self._drop_unusable_index()
        try:
            await self.transactions.writing.open()
        except StorageUnavailable:
            log.warning("the database cannot be written now; reads continue")
        await self.transactions.reading.open()

    def _drop_unusable_index(self) -> None:
        if sqlite_has_trigrams():
            return
        try:
            drop_search_triggers(self.path, self.tables)
        except sqlite3.Error:
            log.warning(
                "the triggers of the search index cannot be dropped; no user can be added until they are"
            )

    async def close(self) -> None:
        await self.transactions.reading.close()
        # Last, because the last connection that may write folds the log into the file and removes it.
        self.lookup.close()
        await self.transactions.writing.close()

    async def facts(self, *, now: Callable[[], datetime]) -> DatabaseFacts:
        from czo_auth.storage.facts import sqlite_facts

        return await asyncio.to_thread(sqlite_facts, self.path)

    async def ping(self) -> None:
        await self.transactions.read(lambda tx: tx.key_checks.find_all())

    def leave_inherited(self) -> None:
        self.transactions.writing.leave_inherited()
        self.transactions.reading.leave_inherited()
        self.lookup.leave_inherited()


def _after_fork() -> None:
    for storage in list(_storages):
        storage.leave_inherited()


os.register_at_fork(after_in_child=_after_fork)
