"""
A process that commits full batches without end: URL COMMIT_SECONDS SHARED_SECONDS.

Says ``ready`` when it has committed; reads a line; says when each commit was done, by the clock that all processes
share.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

from czo_auth.core.transaction import Transaction
from czo_auth.storage import sqlite_worker
from czo_auth.storage.sqlite import SqliteStorage
from czo_auth.storage.sqlite_batch import BATCH
from tests.support.records import NOW, an_id

STEPS = 12_000
"""More than it commits while another process writes: there are always some that wait."""


def write(tx: Transaction) -> bool:
    """Keep a row of its own."""
    return tx.key_checks.add(an_id(), "a check", now=NOW)


async def main(url: str, commit_seconds: str, shared_seconds: str) -> None:
    sqlite_worker.SHARED_SECONDS = float(shared_seconds)  # type: ignore[misc]
    storage = SqliteStorage(url, table_prefix="czo_auth_", timeout=600.0)
    await storage.start()
    writing = storage.transactions.writing
    commit = writing.commit
    begun = threading.Event()
    commits: list[float] = []

    def commit_slowly() -> None:
        time.sleep(float(commit_seconds))
        commit()
        commits.append(time.monotonic())
        begun.set()

    writing.commit = commit_slowly  # type: ignore[method-assign]
    waiting = [asyncio.create_task(storage.transactions.run(write)) for _ in range(STEPS)]
    await asyncio.sleep(0)
    begun.wait()
    print("ready", flush=True)
    # The loop waits here, and no caller continues: between two batches there is as little time as can be.
    sys.stdin.readline()
    assert len(commits) * BATCH < len(waiting)
    print(*commits, flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
