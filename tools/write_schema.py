"""Writes the script that makes the tables of an empty SQLite file, from a database that all migrations made."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import czo_auth.storage
from czo_auth.storage.fresh_schema import PREFIX, SCRIPT, SEPARATOR
from czo_auth.storage.migrate import migrate_from_the_first
from czo_auth.storage.tables import Tables
from czo_auth.storage.user_search_index import drop_search_index

_PLACEHOLDER = "prefix_that_occurs_9"
"""No other name contains it."""


def script() -> str:
    """Migrate an empty file from the first revision, and write down what it contains."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "migrated.sqlite3")
        tables = Tables(_PLACEHOLDER)
        migrate_from_the_first(path, tables)
        with closing(sqlite3.connect(path)) as connection:
            drop_search_index(connection, tables)
            found = SEPARATOR.join(_statements(connection))
    if "{" in found or "}" in found:
        raise ValueError(f"the schema contains a brace, which {PREFIX} is written with")
    return found.replace(_PLACEHOLDER, PREFIX) + "\n"


def _statements(connection: sqlite3.Connection) -> Iterator[str]:
    """Tables in the order in which they were made, the rows in them, and then what belongs to them by its name."""
    own = "sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    names: list[str] = []
    for kind in ("table", "index", "trigger"):
        if kind == "trigger":
            # Before the triggers, which would count these rows as changes.
            for name in names:
                yield from _rows(connection, name)
        # Alembic makes a table's indexes again in any order.
        order = "rowid" if kind == "table" else "name"
        for name, sql in connection.execute(
            f"SELECT name, sql FROM sqlite_master WHERE type = ? AND {own} ORDER BY {order}",
            (kind,),
        ).fetchall():
            yield sql
            if kind == "table":
                names.append(name)


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """Write the rows that migrations leave in *table*."""
    columns = [column[1] for column in connection.execute(f'PRAGMA table_info("{table}")')]
    quoted = " || ', ' || ".join(f'quote("{column}")' for column in columns)
    question = f'SELECT {quoted} FROM "{table}" ORDER BY rowid'
    for (row,) in connection.execute(question):
        yield f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({row})"


def main() -> None:
    """Write the script into the package."""
    path = Path(czo_auth.storage.__file__).parent / SCRIPT
    path.write_text(script(), encoding="utf-8")
    print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
