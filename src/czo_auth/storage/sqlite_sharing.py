"""Connections to SQLite that let other threads of the process run while many rows are fetched."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from czo_auth.core.interpreter_lock import let_other_threads_run

ROWS_AT_ONCE: Final = 10
"""Rows that are fetched, and made into records, before other threads run."""


class SharingCursor(sqlite3.Cursor):
    """A cursor that lets other threads run after every `ROWS_AT_ONCE` rows."""

    _fetched = 0

    def fetchone(self) -> Any:
        """Fetch the next row; None if there is none."""
        row = super().fetchone()
        self._fetched += 1
        if self._fetched % ROWS_AT_ONCE == 0:
            let_other_threads_run()
        return row

    def fetchall(self) -> list[Any]:
        """Fetch the rows that are left."""
        found = part = self.fetchmany(ROWS_AT_ONCE)
        while len(part) == ROWS_AT_ONCE:
            let_other_threads_run()
            part = self.fetchmany(ROWS_AT_ONCE)
            found += part
        return found


class SharingConnection(sqlite3.Connection):
    """A connection whose cursors let other threads run."""

    def cursor(self, factory: Any = SharingCursor) -> Any:
        """Return a cursor, of the class *factory*."""
        return super().cursor(factory)

    def execute(self, *statement: Any) -> Any:
        """Run a statement on a new cursor; the base class would take one of its own."""
        return self.cursor().execute(*statement)
