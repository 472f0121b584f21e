"""
Brings the database to the schema of this program: once, however many processes start together (S32).

Everything happens in one transaction that begins by taking a lock, on both databases: a process that is killed
leaves the database as it was, and gives the lock back.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import closing
from typing import Final

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from czo_auth.core.errors import StorageUnavailable
from czo_auth.storage.change_triggers import install_change_triggers
from czo_auth.storage.errors import first_line, sqlite_error, unavailable
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.migrations import HEAD
from czo_auth.storage.sqlite_file import connect_to_read, connect_to_write, create_private, database_path
from czo_auth.storage.tables import DEFAULT_PREFIX, Tables, version_table_of

TIMEOUT_SECONDS: Final = 120.0
"""How long a process waits while another one migrates."""

_SCRIPTS: Final = "czo_auth.storage:migrations"

# Alembic keeps what it works on in its modules.
_one_at_a_time = threading.Lock()


class NewerSchema(Exception):
    """The database was migrated by a newer version of this program, which alone knows its tables."""


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
    if _revision(url, version_table_of(table_prefix)) == HEAD:
        return
    tables = Tables(table_prefix)
    if url.startswith("sqlite:"):
        _upgrade_sqlite(database_path(url), tables)
    else:
        asyncio.run(_upgrade_postgres(url, tables))


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
    Return whether all migrations of this program ran, and none of a newer one.

    Raises:
        ValueError: The address or the prefix is not usable.
        StorageUnavailable: The database does not answer.
    """
    return await current_revision(url, table_prefix=table_prefix) == HEAD


def _revision(url: str, version_table: str) -> str | None:
    question = f"SELECT version_num FROM {version_table}"  # noqa: S608 - the prefix was checked
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
        if "no such table" in str(error):
            return None
        raise sqlite_error(error) from None
    return None if row is None else str(row[0])


def _upgrade_sqlite(path: str, tables: Tables) -> None:
    try:
        create_private(path)
    except OSError as error:
        raise unavailable(StorageUnavailable(), first_line(error)) from None
    engine = create_engine("sqlite://", creator=lambda: _connect_to_migrate(path), poolclass=NullPool)
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _migrate(connection, tables)
            _check_references(connection)
    except Exception as error:
        known = sqlite_error(error)
        if known is error:
            raise
        raise known from None


def _connect_to_migrate(path: str) -> sqlite3.Connection:
    connection = connect_to_write(path, timeout=TIMEOUT_SECONDS)
    # Batch mode makes a table again and drops the old one; with foreign keys on, that empties those that refer to it.
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


def _check_references(connection: Connection) -> None:
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise RuntimeError(f"the migration left a row of {broken[0]} that refers to nothing")


async def _upgrade_postgres(url: str, tables: Tables) -> None:
    from czo_auth.storage.postgresql_server import PostgresServer, postgres_error

    engine = PostgresServer(url, timeout=TIMEOUT_SECONDS).engine(pool_size=1)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_migrate_alone, tables)
    except Exception as error:
        known = postgres_error(error)
        if known is error:
            raise
        raise known from None
    finally:
        await engine.dispose()


def _migrate_alone(connection: Connection, tables: Tables) -> None:
    acquire_lock(connection, tables.version_table)
    _migrate(connection, tables)


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
