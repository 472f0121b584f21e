"""What the databases do for this process, counted instead of timed: the same on an idle and on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event

_STEPS_AT_ONCE = 10
_ROWS = "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables"
"""The rows that the transaction read so far. Source: PostgreSQL 18, section 27.2.19."""


@dataclass
class Work:
    """
    Attributes:
        amount: On PostgreSQL the rows that were read from tables, also those that did not match; on SQLite the
            instructions of its virtual machine, in tens.
    """

    amount: int = 0


@contextmanager
def counted_work() -> Iterator[Work]:
    """Count what this process lets its databases do inside the block, in all threads and tasks."""
    work = Work()
    before: dict[Connection, int] = {}

    def rows(connection: Connection) -> int:
        return int(connection.exec_driver_sql(_ROWS).scalar_one())

    def count_steps() -> None:
        work.amount += 1

    def begin(connection: Connection, cursor: Any, statement: str, *_: object) -> None:
        if connection.dialect.name == "sqlite":
            cursor.connection.set_progress_handler(count_steps, _STEPS_AT_ONCE)
        elif statement != _ROWS:
            before[connection] = rows(connection)

    def end(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if connection.dialect.name != "sqlite" and statement != _ROWS:
            work.amount += rows(connection) - before[connection]

    event.listen(Engine, "before_cursor_execute", begin)
    event.listen(Engine, "after_cursor_execute", end)
    try:
        yield work
    finally:
        event.remove(Engine, "before_cursor_execute", begin)
        event.remove(Engine, "after_cursor_execute", end)
