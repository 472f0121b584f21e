"""The SQLite file: its location, creation and connections."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from typing import Final
from urllib.parse import quote

SCHEME: Final = "sqlite:///"
TIMEOUT_SECONDS: Final = 5.0
"""How long a step may wait for its turn, in the queue and for other processes' writes together."""

# Options that other programs put after the path. A folder may still have a question mark in its name.
_PARAMETERS: Final = re.compile(r"\?[A-Za-z_]+=[^/?]*$")
_PAUSE_SECONDS: Final = 0.005
TURN_SECONDS: Final = 0.001

inherited: Final[list[object]] = []
"""Connections that a fork copied. Closing one in the child would take the parent's locks away (SQLite's manual)."""


def database_path(url: str) -> str:
    """
    Find the file that *url* names; absolute, so that a later change of folder changes nothing.

    Args:
        url: ``sqlite:///relative/path`` or ``sqlite:////absolute/path``.

    Raises:
        ValueError: It names no file. A database in memory would be another one in every connection.
    """
    path = url.removeprefix(SCHEME)
    if not url.startswith(SCHEME) or not path or path.startswith(":memory:") or "\0" in path:
        raise ValueError("a SQLite address is sqlite:/// and the path of a file")
    if _PARAMETERS.search(path):
        raise ValueError("a SQLite address is sqlite:/// and the path of a file, without parameters after it")
    return os.path.abspath(path)


def create_private(path: str) -> None:
    """
    Create the file if there is none, readable by its owner only; SQLite gives its companion files the same mode.

    Raises:
        OSError: The folder does not allow it.
    """
    # Never opened when it exists: closing any descriptor of a file drops the locks that SQLite holds on it.
    if os.path.exists(path):
        return
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def connect_to_write(
    path: str, *, timeout: float = TIMEOUT_SECONDS, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """
    Open a connection that may write; BEGIN and COMMIT are the caller's.

    FULL, because a backup code that was used must not come back after a power cut.

    Args:
        factory: The class of the connection.

    Raises:
        sqlite3.Error: It cannot be opened, or not with a write-ahead log.
    """
    connection = _connect(path, mode="rw", timeout=timeout, factory=factory)
    try:
        use_write_ahead_log(connection, timeout=timeout)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(
    path: str, *, timeout: float = TIMEOUT_SECONDS, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """
    Open a connection that cannot write.

    Args:
        factory: The class of the connection.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    return _connect(path, mode="ro", timeout=timeout, factory=factory)


def use_write_ahead_log(connection: sqlite3.Connection, *, timeout: float) -> None:
    """
    Turn the write-ahead log on; the file remembers it.

    SQLite does not wait if several processes try this at once, so this function does.

    Raises:
        sqlite3.Error: The file or its folder does not allow it.
    """
    give_up_at = time.monotonic() + timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > give_up_at:
                raise
            time.sleep(_PAUSE_SECONDS)
            continue
        if mode != "wal":
            raise sqlite3.OperationalError("a write-ahead log is not possible here")
        return


def begin_when_free(connection: sqlite3.Connection, begin: str, *, timeout: float) -> None:
    """
    Run *begin* as soon as no other connection is in the way.

    SQLite's own busy handler ends up polling ten times a second. A connection that writes continuously gets in between
    again and again: of four busy processes, one waited for seconds. This polls a thousand times a second.

    Args:
        timeout: Seconds that this, and then each statement, may wait.

    Raises:
        sqlite3.Error: Not in time, or the file does not work.
    """
    give_up_at = time.monotonic() + timeout
    connection.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.execute(begin)
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > give_up_at:
                raise
        time.sleep(TURN_SECONDS)
    connection.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")


def is_busy(error: BaseException) -> bool:
    """Return whether *error* means that another connection is in the way."""
    # SQLAlchemy wraps the driver's error; the lower byte of an extended code is the primary one.
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _connect(
    path: str, *, mode: str, timeout: float, factory: type[sqlite3.Connection]
) -> sqlite3.Connection:
    # Other threads may close it, and only that; two never use it at once.
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=factory,
    )
    # SQLite's own knows ASCII alone, and searches compare in lower case.
    connection.create_function("lower", 1, _lower, deterministic=True)
    return connection


def _lower(value: str | bytes | float | None) -> str | bytes | float | None:
    return value.lower() if isinstance(value, str) else value
