"""
Index of the trigrams in users' addresses and names, so that a search by a text does not read every user.

A trigram is three characters in a row. PostgreSQL has a GIN index of the extension ``pg_trgm``. SQLite has a full-text
table (FTS5) without content, and a table that numbers the users, because VACUUM may renumber rows; triggers maintain
both. Where the database has no such index, every user is read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from czo_auth.storage.sqlite_file import connect_to_write
from czo_auth.storage.tables import Tables

_LEAST_SQLITE: Final = (3, 34)
"""The first whose FTS5 has trigrams. Source: SQLite's release notes for 3.34.0."""
_EVENTS: Final = ("insert", "delete", "update")
_COLUMNS: Final = frozenset({"id", "email", "name"})


def install_search_index(connection: Connection, tables: Tables) -> None:
    """
    Make the index where it is missing and the database allows it; part of every migration.

    SQLite drops triggers when a table is rebuilt. What changed since is unknown, so the index is filled again.
    """
    inspector = inspect(connection)
    if not inspector.has_table(tables.users.name):
        return
    if not {column["name"] for column in inspector.get_columns(tables.users.name)} >= _COLUMNS:
        return
    if has_search_index(connection, tables):
        return
    if connection.dialect.name == "postgresql":
        _install_on_postgresql(connection, tables)
    else:
        _install_on_sqlite(connection, tables)


def has_search_index(connection: Connection, tables: Tables) -> bool:
    """Return whether the index is there and complete."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(_COUNT_TRIGGERS, _trigger_names(tables)).scalar_one()
        return found == len(_EVENTS) and sqlite_has_trigrams()
    found = connection.execute(_FIND_INDEX, {"name": tables.search_index}).scalar_one_or_none()
    return found is not None


def sqlite_has_trigrams() -> bool:
    """Return whether this program's SQLite can have the index."""
    with closing(sqlite3.connect(":memory:")) as connection:
        (modules,) = connection.execute(
            "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'"
        ).fetchone()
    return modules > 0 and sqlite3.sqlite_version_info >= _LEAST_SQLITE


def drop_search_triggers(path: str, tables: Tables) -> None:
    """
    Drop SQLite's triggers: where there is no FTS5, no user could be added because of them.

    A file moves from one machine to another. ``czo-auth migrate`` makes the index again where it can be used.

    Raises:
        sqlite3.Error: The file cannot be written.
    """
    with closing(connect_to_write(path)) as connection:
        for name in _trigger_names(tables).values():
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")


def drop_search_index(connection: sqlite3.Connection, tables: Tables) -> None:
    """
    Drop the index from a SQLite file, whose script for empty files is without it: not every SQLite can have it.

    Raises:
        sqlite3.Error: The file cannot be written, or SQLite has no FTS5.
    """
    for name in _trigger_names(tables).values():
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    for name in (tables.user_search_table, tables.user_numbers_table):
        connection.execute(f"DROP TABLE IF EXISTS {name}")


# --- SQLite ---

_COUNT_TRIGGERS: Final = text(
    "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN (:insert, :delete, :update)"
)


def _trigger_names(tables: Tables) -> dict[str, str]:
    return {event: f"{tables.prefix}search_{event}" for event in _EVENTS}


def _install_on_sqlite(connection: Connection, tables: Tables) -> None:
    for name in _trigger_names(tables).values():
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
    if not sqlite_has_trigrams():
        return
    users, numbers, index = tables.users.name, tables.user_numbers_table, tables.user_search_table
    statements = [
        f"DROP TABLE IF EXISTS {index}",
        f"DROP TABLE IF EXISTS {numbers}",
        f"CREATE TABLE {numbers} (number INTEGER PRIMARY KEY, user_id VARCHAR(36) NOT NULL UNIQUE)",
        # Without positions and lengths: trigrams only name candidates.
        (
            f"CREATE VIRTUAL TABLE {index} USING fts5(email, name, tokenize='trigram', content='', detail='none', "
            "columnsize=0)"
        ),
        f"INSERT INTO {numbers} (user_id) SELECT id FROM {users} ORDER BY id",  # noqa: S608 - the prefix was checked
        (
            f"INSERT INTO {index} (rowid, email, name) SELECT number, {_indexed('email')}, {_indexed('name')} "  # noqa: S608
            f"FROM {numbers} JOIN {users} ON id = user_id ORDER BY number"
        ),
        *_triggers(tables),
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)


def _triggers(tables: Tables) -> list[str]:
    users, numbers, index = tables.users.name, tables.user_numbers_table, tables.user_search_table
    names = _trigger_names(tables)
    # Built-in functions only: other programs that write to the file must fill the index alike.
    new = f"{_indexed('NEW.email')}, {_indexed('NEW.name')}"
    old = f"{_indexed('OLD.email')}, {_indexed('OLD.name')}"
    number = f"INSERT INTO {numbers} (user_id) VALUES (NEW.id);"  # noqa: S608
    add = (
        f"INSERT INTO {index} (rowid, email, name) "  # noqa: S608
        f"SELECT number, {new} FROM {numbers} WHERE user_id = NEW.id;"
    )
    remove = (
        f"INSERT INTO {index} ({index}, rowid, email, name) "  # noqa: S608
        f"SELECT 'delete', number, {old} FROM {numbers} WHERE user_id = OLD.id;"
    )
    forget = f"DELETE FROM {numbers} WHERE user_id = OLD.id;"  # noqa: S608
    differs = "OLD.email IS NOT NEW.email OR OLD.name IS NOT NEW.name"
    return [
        f"CREATE TRIGGER {names['insert']} AFTER INSERT ON {users} BEGIN {number} {add} END",
        f"CREATE TRIGGER {names['delete']} AFTER DELETE ON {users} BEGIN {remove} {forget} END",
        (
            f"CREATE TRIGGER {names['update']} AFTER UPDATE OF email, name ON {users} WHEN {differs} "
            f"BEGIN {remove} {add} END"
        ),
    ]


def _indexed(column: str) -> str:
    """Return SQL for the text that is indexed: Python folds one character, ``İ``, to two, and FTS5 leaves it."""
    return f"replace({column}, char(304), 'i' || char(775))"


# --- PostgreSQL ---

_FIND_INDEX: Final = text("SELECT to_regclass(:name)")
_FIND_EXTENSION: Final = text(
    "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
    "WHERE extname = 'pg_trgm'"
)


def _install_on_postgresql(connection: Connection, tables: Tables) -> None:
    schema = connection.execute(_FIND_EXTENSION).scalar_one_or_none()
    if schema is None:
        # Trusted since PostgreSQL 13, so this needs CREATE on the database, which not every role has.
        attempt = connection.begin_nested()
        try:
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            attempt.commit()
        except DBAPIError:
            attempt.rollback()
        schema = connection.execute(_FIND_EXTENSION).scalar_one_or_none()
    if schema is not None:
        # Not kept for later: a list of pending rows would be read by every search.
        connection.exec_driver_sql(
            f"CREATE INDEX IF NOT EXISTS {tables.search_index} ON {tables.users.name} "
            f"USING gin (email {schema}.gin_trgm_ops, name {schema}.gin_trgm_ops) WITH (fastupdate = off)"
        )
