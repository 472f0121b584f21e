"""
Migrates the database to the schema of this program: once, however many processes start at the same time (S32).

Everything happens in one transaction that starts by taking a lock, on both databases: if a process is killed, the
database stays as it was and the lock is released.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from czo_auth.core.errors import StorageUnavailable
from czo_auth.storage.change_triggers import install_change_triggers
from czo_auth.storage.errors import first_line, sqlite_error, unavailable
from czo_auth.storage.fresh_schema import create_fresh
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.migrations import HEAD, OLDEST_COMPATIBLE
from czo_auth.storage.sqlite_file import connect_to_read, connect_to_write, create_private, database_path
from czo_auth.storage.tables import DEFAULT_PREFIX, Tables, version_table_of
from czo_auth.storage.user_search_index import install_search_index

TIMEOUT_SECONDS: Final = 120.0
"""How long a process waits while another one migrates."""

OLDEST_COLUMN: Final = "oldest_program"
"""An additional column in Alembic's version table, which Alembic ignores."""

_LOCK_MILLISECONDS: Final = 300
"""Less than PostgreSQL's ``deadlock_timeout``, a second by default."""

_LOCK_NOT_AVAILABLE: Final = "55P03"
_PAUSE_SECONDS: Final = 0.1
_MAX_PAUSE_SECONDS: Final = 3.0
_SCRIPTS: Final = "czo_auth.storage:migrations"

Work = Callable[[Connection, Tables], None]

# Alembic keeps its state in module globals.
_one_at_a_time = threading.Lock()


class NewerSchema(Exception):
    """The database was migrated by a newer version of this program, which this one does not support."""


async def upgrade(url: str, table_prefix: str = DEFAULT_PREFIX) -> None:
    """
    Run the migrations that have not run; creates a SQLite file that is not there (mode 0600).

    Raises:
        ValueError: The address or the prefix is not usable.
        NewerSchema: The database is ahead of this program.
        StorageUnavailable: The database does not answer, cannot be written, or another process holds it for too long.
    """
    await asyncio.to_thread(upgrade_blocking, url, table_prefix=table_prefix)


def upgrade_blocking(url: str, table_prefix: str = DEFAULT_PREFIX) -> None:
    """Do the same in a thread that runs no event loop."""
    if _may_run(url, version_table_of(table_prefix)):
        return
    _change(url, Tables(table_prefix), _create_or_migrate)


async def add_search_index(url: str, table_prefix: str = DEFAULT_PREFIX) -> None:
    """
    Make the index for searches of users, on tables of this revision, if it is missing and the database allows it now.

    Raises:
        ValueError: The address or the prefix is not usable.
        StorageUnavailable: As `upgrade`.
    """
    await asyncio.to_thread(_change, url, Tables(table_prefix), install_search_index)


async def current_revision(url: str, table_prefix: str = DEFAULT_PREFIX) -> str | None:
    """
    Read the revision that the database is at; None when no migration ran, or there is no file.

    Raises:
        ValueError: The address or the prefix is not usable.
        StorageUnavailable: The database does not answer.
    """
    return await asyncio.to_thread(_revision, url, version_table_of(table_prefix))


async def is_current(url: str, table_prefix: str = DEFAULT_PREFIX) -> bool:
    """
    Return whether this program may run on the tables as they are.

    It may if all of its migrations and none of a newer program ran, or if the newer one allows programs of this
    revision: in a rolling upgrade both run for a while.

    Raises:
        ValueError: The address or the prefix is not usable.
        StorageUnavailable: The database does not answer.
    """
    return await asyncio.to_thread(_may_run, url, version_table_of(table_prefix))


def _may_run(url: str, version_table: str) -> bool:
    revision = _revision(url, version_table)
    if revision is None or revision <= HEAD:
        return revision == HEAD
    # Not read at every start: a database of an older program has no such column.
    oldest = _ask(url, f"SELECT {OLDEST_COLUMN} FROM {version_table}")  # noqa: S608 - the prefix was checked
    return oldest is not None and oldest <= HEAD


def _revision(url: str, version_table: str) -> str | None:
    return _ask(url, f"SELECT version_num FROM {version_table}")  # noqa: S608 - the prefix was checked


def _ask(url: str, question: str) -> str | None:
    if url.startswith("sqlite:"):
        return _ask_sqlite(database_path(url), question)
    from czo_auth.storage.postgresql_server import ask

    return asyncio.run(ask(url, question))


def _ask_sqlite(path: str, question: str) -> str | None:
    if not os.path.exists(path):
        return None
    try:
        with closing(connect_to_read(path)) as connection:
            row = connection.execute(question).fetchone()
    except sqlite3.Error as error:
        if "no such table" in str(error) or "no such column" in str(error):
            return None
        raise sqlite_error(error) from None
    return None if row is None or row[0] is None else str(row[0])


def migrate_from_the_first(path: str, tables: Tables) -> None:
    """
    Run every migration on the SQLite file at *path*, and create it if it is not there.

    For the script of `czo_auth.storage.fresh_schema`, which is written from the result.
    """
    _change_sqlite(path, tables, _migrate)


def _change(url: str, tables: Tables, work: Work) -> None:
    if url.startswith("sqlite:"):
        _change_sqlite(database_path(url), tables, work)
    else:
        asyncio.run(_change_postgres(url, tables, work))


def _change_sqlite(path: str, tables: Tables, work: Work) -> None:
    try:
        create_private(path)
    except OSError as error:
        raise unavailable(StorageUnavailable(), first_line(error)) from None
    engine = create_engine("sqlite://", creator=lambda: _connect_to_migrate(path), poolclass=NullPool)
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            work(connection, tables)
            if work is not install_search_index:
                _check_references(connection)
    except Exception as error:
        known = sqlite_error(error)
        if known is error:
            raise
        raise known from None


def _create_or_migrate(connection: Connection, tables: Tables) -> None:
    if create_fresh(connection, tables) and _is_at_head(connection, tables):
        install_search_index(connection, tables)
    else:
        _migrate(connection, tables)


def _is_at_head(connection: Connection, tables: Tables) -> bool:
    """Return whether the script was written after the newest migration; otherwise that one has to run."""
    question = f"SELECT version_num FROM {tables.version_table}"  # noqa: S608 - the prefix was checked
    return bool(connection.exec_driver_sql(question).scalar_one() == HEAD)


def _connect_to_migrate(path: str) -> sqlite3.Connection:
    connection = connect_to_write(path, timeout=TIMEOUT_SECONDS)
    # Batch mode recreates a table and drops the old one; with foreign keys on, that would empty referring tables.
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


def _check_references(connection: Connection) -> None:
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise RuntimeError(f"the migration left a row of {broken[0]} that refers to nothing")


async def _change_postgres(url: str, tables: Tables, work: Work) -> None:
    from czo_auth.storage.postgresql_server import PostgresServer, postgres_error

    engine = PostgresServer(url, timeout=TIMEOUT_SECONDS).engine(pool_size=1)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_change_alone, tables, work)
    except Exception as error:
        known = postgres_error(error)
        if known is error:
            raise
        raise known from None
    finally:
        await engine.dispose()


def _change_alone(connection: Connection, tables: Tables, work: Work) -> None:
    acquire_lock(connection, tables.version_table)
    if work is not install_search_index:
        _lock_tables(connection, tables)
    work(connection, tables)


def _lock_tables(connection: Connection, tables: Tables) -> None:
    """
    Lock every table at once, before the first change.

    Running servers hold locks on some tables and need others. This releases all tables and tries again before
    PostgreSQL checks for a deadlock, which would abort one of their requests.
    """
    names = inspect(connection).get_table_names()
    ours = [f'"{name}"' for name in sorted(names) if name.startswith(tables.prefix)]
    give_up_at, pause = time.monotonic() + TIMEOUT_SECONDS, _PAUSE_SECONDS
    while ours:
        attempt = connection.begin_nested()
        try:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}")
            connection.exec_driver_sql(f"LOCK TABLE {', '.join(ours)} IN ACCESS EXCLUSIVE MODE")
        except DBAPIError as error:
            attempt.rollback()
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or time.monotonic() > give_up_at:
                raise
            # Requests wait while it tries, so behind a long backup it must not try all the time.
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)
            continue
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        attempt.commit()
        return


def _migrate(connection: Connection, tables: Tables) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.attributes.update(connection=connection, tables=tables)
    with _one_at_a_time:
        try:
            command.upgrade(config, HEAD)
        except CommandError as error:
            raise NewerSchema(str(error)) from None
    install_change_triggers(connection, tables)
    install_search_index(connection, tables)
    _say_which_programs_may_run(connection, tables)


def _say_which_programs_may_run(connection: Connection, tables: Tables) -> None:
    """Store next to the revision the oldest program that may run on these tables."""
    table = tables.version_table
    if OLDEST_COLUMN not in {column["name"] for column in inspect(connection).get_columns(table)}:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {OLDEST_COLUMN} VARCHAR(32)")
    connection.exec_driver_sql(f"UPDATE {table} SET {OLDEST_COLUMN} = '{OLDEST_COMPATIBLE}'")  # noqa: S608
