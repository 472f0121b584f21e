"""
The schema of an empty SQLite file, in one script instead of every migration since the first.

A start in an empty folder need not import Alembic for it. ``tools/write_schema.py`` writes the script from a
database that the migrations made, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from sqlalchemy import Connection

from czo_auth.storage.tables import Tables

SCRIPT: Final = "migrations/fresh_sqlite.sql"
"""Path in this package."""

PREFIX: Final = "{prefix}"
"""Placeholder for the table prefix in the script."""

SEPARATOR: Final = "\n--\n"
"""Between two statements; a semicolon does not do, because triggers contain some."""


def create_fresh(connection: Connection, tables: Tables) -> bool:
    """
    Create all tables, indexes and triggers of the script's revision, unless there is a table under the prefix.

    Part of the caller's transaction, which holds the lock that migrations take.

    Returns:
        Whether it did; False on PostgreSQL, and where something is there to be migrated.
    """
    if connection.dialect.name != "sqlite" or _has_any(connection, tables.prefix):
        return False
    for statement in statements(tables.prefix):
        connection.exec_driver_sql(statement)
    return True


def statements(prefix: str) -> Iterator[str]:
    """Read the statements of the script."""
    script = files("czo_auth.storage").joinpath(SCRIPT).read_text("utf-8")
    for statement in script.strip().split(SEPARATOR):
        yield statement.replace(PREFIX, prefix)


def _has_any(connection: Connection, prefix: str) -> bool:
    question = "SELECT 1 FROM sqlite_master WHERE substr(tbl_name, 1, ?) = ? LIMIT 1"
    return connection.exec_driver_sql(question, (len(prefix), prefix)).first() is not None
