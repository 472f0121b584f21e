"""The change triggers, recorded while they fire, or made to do nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from czo_auth.storage.change_triggers import WATCHED, WatchedTable
from czo_auth.storage.sqlite_file import database_path
from tests.migrations.databases import execute

Watched = tuple[str, str, str]
"""Table, event and column; the column of an insert or a deletion is empty."""


def all_watched() -> set[Watched]:
    """Return everything that the triggers watch."""
    return {each for name, table in WATCHED.items() for each in _watched_of(name, table)}


def _watched_of(name: str, table: WatchedTable) -> Iterator[Watched]:
    yield name, "delete", ""
    if table.inserts:
        yield name, "insert", ""
    for column in table.columns:
        yield name, "update", column


async def disarm_triggers(database_url: str) -> None:
    """
    Make all triggers do nothing, in a way that no process notices: their definitions stay as they are.

    On SQLite the count that they move stays; on PostgreSQL the function that they call notifies nobody.
    """
    if database_url.startswith("sqlite"):
        await execute(
            database_url,
            "CREATE TRIGGER stays BEFORE UPDATE ON czo_auth_change_count BEGIN SELECT RAISE(IGNORE); END",
        )
        return
    await execute(
        database_url,
        "CREATE OR REPLACE FUNCTION czo_auth_tell_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RETURN NULL; END$$",
    )


def record_triggers(database_url: str) -> None:
    """Record in a SQLite file what the triggers watch whenever it changes; `recorded` reads it."""
    with closing(sqlite3.connect(database_path(database_url))) as connection:
        connection.execute("CREATE TABLE moved (name, event, changed, UNIQUE (name, event, changed))")
        for number, (name, event, column) in enumerate(sorted(all_watched())):
            connection.execute(
                f"CREATE TRIGGER record_{number} AFTER {event} ON czo_auth_{name} {_when(name, event, column)} "
                f"BEGIN INSERT OR IGNORE INTO moved VALUES ('{name}', '{event}', '{column}'); END"
            )


def _when(name: str, event: str, column: str) -> str:
    if event == "update":
        return f"WHEN OLD.{column} IS NOT NEW.{column}"
    ignored = WATCHED[name].ignored_once_set
    return f"WHEN OLD.{ignored} IS NULL" if event == "delete" and ignored else ""


def recorded(database_url: str) -> set[Watched]:
    """Return what changed since `record_triggers`."""
    with closing(sqlite3.connect(database_path(database_url))) as connection:
        return set(connection.execute("SELECT name, event, changed FROM moved"))
