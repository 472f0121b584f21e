"""
A process that ends with SIGKILL at a named point of a group commit: URL POINT.

Five steps wait together. Prints the number of each step that was answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable

from czo_auth.core.transaction import Transaction
from czo_auth.storage.sqlite import SqliteStorage
from tests.support.records import NOW

STEPS = 5


def kill_this_process() -> None:
    """End as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def write(number: int, *, then: Callable[[], None]) -> Callable[[Transaction], None]:
    """Make a step that writes a row of its own."""

    def add_key_check(tx: Transaction) -> None:
        assert tx.key_checks.add(f"step-{number}", "a check", now=NOW)
        then()

    return add_key_check


async def main(url: str, point: str) -> None:
    storage = SqliteStorage(url, table_prefix="czo_auth_")
    await storage.start()
    begun, may_go_on = threading.Event(), threading.Event()

    def hold_the_thread(tx: Transaction) -> None:
        raw = tx.connection.connection.driver_connection  # type: ignore[attr-defined]

        def watch(statement: str) -> None:
            if point == "before the commit" and statement == "COMMIT":
                kill_this_process()

        raw.set_trace_callback(watch)
        begun.set()
        may_go_on.wait(20)

    async def run(number: int) -> None:
        kills = point == "between savepoints" and number == STEPS - 1
        await storage.transactions.run(write(number, then=kill_this_process if kills else lambda: None))
        print(number, flush=True)

    holding = asyncio.create_task(storage.transactions.run(hold_the_thread))
    await asyncio.to_thread(begun.wait, 20)
    waiting = [asyncio.create_task(run(number)) for number in range(STEPS)]
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.gather(holding, *waiting)
    if point == "after the commit":
        kill_this_process()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
