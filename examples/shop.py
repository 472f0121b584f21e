"""
What the example hosts had before czo-auth came: a shop with a users' table of its own.

czo-auth never reads or writes it. The shop learns about accounts by subscribing to events.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ORDERS = [{"id": 1, "item": "kettle"}, {"id": 2, "item": "two cups"}]


class Shop:
    """
    The shop's own tables.

    Args:
        database: A SQLite file; it may be the one that czo-auth uses.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def open(self) -> None:
        """Create the tables, with a customer of old."""
        with self._transaction() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, points INTEGER)"
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS activity (event_id TEXT PRIMARY KEY, type TEXT, user_id TEXT)"
            )
            connection.execute("INSERT OR IGNORE INTO users (email, points) VALUES ('ada@shop.example', 120)")

    def users(self) -> list[tuple[str, int]]:
        """List the shop's own users."""
        with self._transaction() as connection:
            return connection.execute("SELECT email, points FROM users ORDER BY id").fetchall()

    def note(self, event_id: str, event_type: str, user_id: str | None) -> None:
        """Remember an event. They come at least once, so the id keeps doubles out."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO activity VALUES (?, ?, ?)", (event_id, event_type, user_id)
            )

    def activity(self) -> list[str]:
        """List the types of the events so far."""
        with self._transaction() as connection:
            return [row[0] for row in connection.execute("SELECT type FROM activity ORDER BY event_id")]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._database, timeout=10)) as connection, connection:
            yield connection
