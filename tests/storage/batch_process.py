"""
A process that ends with SIGKILL at a named point of a group commit: URL POINT.

Five steps, each with two rows, wait together. Prints the number of each step that was answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from czo_auth.core.transaction import Transaction
from czo_auth.storage import sqlite_batch
from czo_auth.storage.sqlite import SqliteStorage
from tests.support.records import NOW

STEPS = 5
ROWS = ("first", "second")
EARLY_ANSWER_SECONDS = 0.3
"""How long the process goes on at its point, so that an answer that was given too early is printed."""


class KillPoints:
    """The points that the process passes; it ends at one of them."""

    def __init__(self, last: str) -> None:
        self._last = last
        self._savepoints = 0

    def reach(self, point: str) -> None:
        """End as any process can, without a chance to clean up, where *point* is the last."""
        if point == self._last:
            time.sleep(EARLY_ANSWER_SECONDS)
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, statement: str) -> None:
        """Recognize a point by the statement that SQLite is about to run."""
        if statement.startswith("SAVEPOINT"):
            self._savepoints += 1
            if self._savepoints == STEPS:
                self.reach("between savepoints")
        elif statement == "COMMIT":
            self.reach("before the commit")


def write(number: int, points: KillPoints) -> Callable[[Transaction], None]:
    """Make a step that writes two rows of its own."""

    def add_key_checks(tx: Transaction) -> None:
        for row in ROWS:
            assert tx.key_checks.add(f"{number} {row}", "a check", now=NOW)
            if number == STEPS - 1:
                points.reach("within a savepoint")

    return add_key_checks


async def main(url: str, point: str) -> None:
    # All steps share one transaction on a slow machine too.
    sqlite_batch.BATCH_SECONDS = sqlite_batch.SLOW_BATCH_SECONDS = 60.0  # type: ignore[misc]
    storage = SqliteStorage(url, table_prefix="czo_auth_")
    await storage.start()
    points = KillPoints(point)
    begun, may_go_on = threading.Event(), threading.Event()
    writing = storage.transactions.writing
    commit = writing.commit

    def commit_and_reach() -> None:
        commit()
        points.reach("after the commit, before the answers")

    def hold_the_thread(tx: Transaction) -> None:
        raw = tx.connection.connection.driver_connection  # type: ignore[attr-defined]
        raw.set_trace_callback(points.watch)
        writing.commit = commit_and_reach  # type: ignore[method-assign]
        begun.set()
        may_go_on.wait(20)

    async def run(number: int) -> None:
        await storage.transactions.run(write(number, points))
        print(number, flush=True)

    holding = asyncio.create_task(storage.transactions.run(hold_the_thread))
    await asyncio.to_thread(begun.wait, 20)
    waiting = [asyncio.create_task(run(number)) for number in range(STEPS)]
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.gather(holding, *waiting)
    points.reach("after the answers")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
