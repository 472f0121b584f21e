"""The threads that work on SQLite let others run while they fetch many rows."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from czo_auth.core.interpreter_lock import SHORTEST_SLEEP_SECONDS
from czo_auth.core.transaction import Transaction
from czo_auth.storage.sqlite import SqliteStorage
from czo_auth.storage.sqlite_sharing import ROWS_AT_ONCE

MANY = 10 * ROWS_AT_ONCE + 3
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n"


@pytest.fixture
async def storage(migrated_sqlite_url: str) -> AsyncIterator[SqliteStorage]:
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    await storage.start()
    yield storage
    await storage.close()


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that slept for a moment, one for each time."""
    found: list[str] = []
    sleep = time.sleep

    def noted(seconds: float) -> None:
        # There are other pauses, for other processes.
        if seconds == SHORTEST_SLEEP_SECONDS:
            found.append(threading.current_thread().name)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    return found


def one_by_one(tx: Transaction, count: int) -> list[Any]:
    connection: Any = tx.connection  # type: ignore[attr-defined]
    return list(connection.exec_driver_sql(NUMBERS.format(count)).scalars())


def all_at_once(tx: Transaction, count: int) -> list[Any]:
    connection: Any = tx.connection  # type: ignore[attr-defined]
    return [number for (number,) in connection.exec_driver_sql(NUMBERS.format(count)).all()]


def by_the_driver(tx: Transaction, count: int) -> list[Any]:
    connection: Any = tx.connection  # type: ignore[attr-defined]
    driver = connection.connection.driver_connection
    return [number for (number,) in driver.execute(NUMBERS.format(count)).fetchall()]


@pytest.mark.parametrize("fetch", [one_by_one, all_at_once, by_the_driver])
@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, MANY])
async def test_other_threads_may_run_while_many_rows_are_fetched(
    storage: SqliteStorage, moments: list[str], fetch: Any, count: int
) -> None:
    for run, thread in (
        (storage.transactions.read, "czo-auth-read"),
        (storage.transactions.run, "czo-auth-write"),
    ):
        await run(lambda tx: None)
        moments.clear()
        # A recursive query without rows has one all the same.
        assert await run(lambda tx: fetch(tx, count)) == list(range(1, max(count, 1) + 1))
        assert moments.count(thread) >= count // ROWS_AT_ONCE
        # The end of the rows is fetched like one.
        assert count + 1 >= ROWS_AT_ONCE or moments == []


def test_no_time_to_sleep_is_none_to_wake_another_thread_up() -> None:
    assert SHORTEST_SLEEP_SECONDS > 0


async def test_lookups_have_one_row_and_fetch_it_with_the_drivers_own_cursor(storage: SqliteStorage) -> None:
    await storage.lookup.find_api_key("digest")
    assert type(storage.lookup._here.reader.cursor).__module__ == "sqlite3"
