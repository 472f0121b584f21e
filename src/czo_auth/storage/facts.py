"""Version and settings of a database, for the checks of a deployment."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from czo_auth.storage.errors import sqlite_error
from czo_auth.storage.postgresql_address import read_address
from czo_auth.storage.sqlite_file import connect_to_read, connect_to_write

_SYNCHRONOUS: Final = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
_TIMEOUT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """
    Attributes:
        version: As numbers, ``(18, 6)``.
        round_trip: How long a trivial query takes.
        clock_ahead: How far the database's clock is ahead of this machine's; None if they are the same clock.
        writable: Whether a transaction may currently write.
        durability: The settings that decide whether a commit survives a power cut, as the database names them.
        encrypted: Whether the connection is encrypted; None where there is none.
    """

    product: Literal["SQLite", "PostgreSQL"]
    version: tuple[int, ...]
    round_trip: timedelta
    clock_ahead: timedelta | None
    writable: bool
    durability: Mapping[str, str]
    encrypted: bool | None


def sqlite_facts(path: str) -> DatabaseFacts:
    """
    Ask the file at *path*; changes nothing, and blocks.

    Raises:
        StorageUnavailable: It cannot be read.
    """
    try:
        with closing(connect_to_read(path, timeout=_TIMEOUT_SECONDS)) as reader:
            begun = time.perf_counter()
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            round_trip = timedelta(seconds=time.perf_counter() - begun)
            (journal_mode,) = reader.execute("PRAGMA journal_mode").fetchone()
    except sqlite3.Error as error:
        raise sqlite_error(error) from None
    durability = {"journal_mode": str(journal_mode)}
    # A connection that writes turns the write-ahead log on, which a check must not do.
    synchronous = _try_to_write(path) if journal_mode == "wal" else None
    if synchronous is not None:
        durability["synchronous"] = synchronous
    return DatabaseFacts(
        product="SQLite",
        version=sqlite3.sqlite_version_info,
        round_trip=round_trip,
        clock_ahead=None,
        writable=synchronous is not None or journal_mode != "wal",
        durability=durability,
        encrypted=None,
    )


def _try_to_write(path: str) -> str | None:
    """Start a write and roll it back; return the durability of commits, or None if writing is not possible."""
    try:
        with closing(connect_to_write(path, timeout=_TIMEOUT_SECONDS)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("ROLLBACK")
            (level,) = writer.execute("PRAGMA synchronous").fetchone()
    except sqlite3.Error:
        return None
    return _SYNCHRONOUS.get(level, str(level))


async def postgres_facts(url: str, *, now: Callable[[], datetime]) -> DatabaseFacts:
    """
    Ask the server at *url*.

    Args:
        now: This machine's clock.

    Raises:
        StorageUnavailable: It does not answer.
    """
    from czo_auth.storage.postgresql_server import PostgresServer, postgres_error

    try:
        connection = await PostgresServer(url).connect()
        try:
            await connection.fetchval("SELECT 1")
            begun, asked_at = time.perf_counter(), now()
            theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
            round_trip = timedelta(seconds=time.perf_counter() - begun)
            row = await connection.fetchrow(_POSTGRES_FACTS)
        finally:
            await connection.close(timeout=CLOSE_TIMEOUT_SECONDS)
    except Exception as error:
        known = postgres_error(error)
        if known is error:
            raise
        raise known from None
    assert row is not None  # noqa: S101 - one row by its form
    return DatabaseFacts(
        product="PostgreSQL",
        version=(row["version"] // 10_000, row["version"] % 10_000),
        round_trip=round_trip,
        # The server read its clock about halfway through the round trip.
        clock_ahead=theirs - (asked_at + round_trip / 2),
        writable=not row["read_only"],
        durability={name: row[name] for name in ("fsync", "full_page_writes", "synchronous_commit")},
        encrypted=row["encrypted"],
    )


CLOSE_TIMEOUT_SECONDS: Final = 5.0
_POSTGRES_FACTS: Final = """
SELECT current_setting('server_version_num')::int AS version,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,
       (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encrypted
"""


def remote_hosts(url: str) -> tuple[str, ...]:
    """Return the hosts of a PostgreSQL address that are another machine; sockets and loopback are not."""
    return tuple(host for host in read_address(url).hosts if not is_local(host))


def ssl_mode(url: str) -> str:
    """Return the ``sslmode`` that *url* asks for; ``prefer`` when it does not say. Source: libpq, section 32.18."""
    return read_address(url).ssl_mode


def is_local(host: str) -> bool:
    """Return whether *host* is this machine: a socket, a loopback address or its name."""
    return not host or host.startswith(("/", "@", "127.")) or host.lower() in ("localhost", "::1")
