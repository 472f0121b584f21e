"""Several processes write to one file without a pause: each gets its turn."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from czo_auth.core.transaction import Transaction
from czo_auth.storage import sqlite_batch, sqlite_worker
from czo_auth.storage.sqlite import SqliteStorage
from czo_auth.storage.sqlite_file import TURN_SECONDS, database_path
from czo_auth.storage.sqlite_worker import LONG_SECONDS, SHARED_SECONDS
from tests.storage.flood_process import write
from tests.support.monotonic import MonotonicClock

ROOT = Path(__file__).parents[2]
PROCESSES = 4
WRITES = 300
"""How many each makes at least: on a busy machine a time would end with so few that chance decides."""


@pytest.fixture
def url_on_disk(migrated_sqlite_url: str) -> Iterator[str]:
    """A migrated file on the disk: in memory a commit takes no time, and one process takes the lock again and again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database.sqlite3"
        shutil.copy(database_path(migrated_sqlite_url), path)
        yield f"sqlite:///{path}"


@pytest.mark.deep
def test_busy_processes_share_the_file_fairly(url_on_disk: str) -> None:
    """SQLite's own waiting let one write six times as often as another, which then gave up after five seconds."""
    command = [sys.executable, "-W", "error", "-m", "tests.storage.hog", url_on_disk, str(WRITES)]
    pipe = subprocess.PIPE
    hogs = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(PROCESSES)]
    try:
        for hog in hogs:
            assert hog.stdout is not None
            assert hog.stdout.readline() == "ready\n"
        for hog in hogs:
            assert hog.stdin is not None
            hog.stdin.write("go\n")
            hog.stdin.flush()
        for hog in hogs:
            assert hog.stdout is not None
            assert hog.stdout.readline() == "done\n"
        written = [int(hog.communicate(timeout=60)[0]) for hog in hogs]
    finally:
        for hog in hogs:
            hog.kill()
            hog.communicate()
    assert min(written) > max(written) / 4, written


@contextmanager
def flood(url: str, *options: float) -> Iterator[Callable[[], list[float]]]:
    """Run a process with full batches; gives what ends it and returns the time of each of its commits."""
    command = [sys.executable, "-W", "error", "-m", "tests.storage.flood_process", url, *map(str, options)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def end() -> list[float]:
        answer, _ = process.communicate("end\n", timeout=60)
        assert process.returncode == 0
        return [float(moment) for moment in answer.split()]

    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield end
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("commit_seconds", "shared_seconds", "writes"),
    [
        pytest.param(
            0.0, SHARED_SECONDS, 60, id="short transactions, and the lone writer wrote a moment ago"
        ),
        pytest.param(1.5 * LONG_SECONDS, 0.0, 30, id="long transactions, and it did not"),
    ],
)
async def test_lone_writer_waits_for_few_batches_of_a_process_that_always_has_more(
    migrated_sqlite_url: str, commit_seconds: float, shared_seconds: float, writes: int
) -> None:
    """Counted in batches, because their length depends on the machine. Without a pause it is about three on average."""
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    await storage.start()
    waits: list[tuple[float, float]] = []
    with flood(migrated_sqlite_url, commit_seconds, shared_seconds) as end:
        for _ in range(writes):
            # Meanwhile the other process, which waits as well, begins its next batch.
            await asyncio.sleep(3 * TURN_SECONDS)
            asked_at = time.monotonic()
            await storage.transactions.run(write)
            waits.append((asked_at, time.monotonic()))
        commits = end()
    await storage.close()
    batches = [bisect(commits, answered_at) - bisect(commits, asked_at) for asked_at, answered_at in waits]
    assert statistics.mean(batches) <= 1.5, batches
    assert statistics.quantiles(batches, n=10)[-1] <= 3, batches


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MonotonicClock:
    """The clock of the thread that writes, which notes its pauses."""
    clock = MonotonicClock()
    monkeypatch.setattr(sqlite_batch, "time", clock)
    monkeypatch.setattr(sqlite_worker, "time", clock)
    return clock


@pytest.fixture
async def storage(migrated_sqlite_url: str, clock: MonotonicClock) -> AsyncIterator[SqliteStorage]:
    """A storage that has written alone for so long that it does not pause."""
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    await storage.start()
    await storage.transactions.run(write)
    clock.seconds += 2 * SHARED_SECONDS
    await storage.transactions.run(write)
    clock.pauses.clear()
    yield storage
    await storage.close()


async def test_process_that_writes_alone_does_not_pause(
    storage: SqliteStorage, clock: MonotonicClock
) -> None:
    for _ in range(3):
        await storage.transactions.run(write)
    assert clock.pauses == []


async def test_pause_before_each_transaction_while_another_connection_writes(
    storage: SqliteStorage, clock: MonotonicClock
) -> None:
    with closing(sqlite3.connect(storage.path)) as other, other:
        other.execute(
            "INSERT INTO czo_auth_key_checks (kid, check_value, created_at) VALUES ('x', 'a check', 0)"
        )
    for _ in range(3):
        await storage.transactions.run(write)
    # The first found out.
    assert clock.pauses == [TURN_SECONDS] * 2
    clock.seconds += 2 * SHARED_SECONDS
    await storage.transactions.run(write)
    assert clock.pauses == [TURN_SECONDS] * 2


async def test_pause_after_a_long_transaction_although_nobody_wrote(
    storage: SqliteStorage, clock: MonotonicClock
) -> None:
    """Transactions of a second on a slow disk outlasted the time in which a file counts as shared: some got 503."""

    def write_slowly(tx: Transaction) -> None:
        write(tx)
        clock.seconds += 2 * LONG_SECONDS

    await storage.transactions.run(write_slowly)
    assert clock.pauses == []
    await storage.transactions.run(write)
    assert clock.pauses == [TURN_SECONDS]
    await storage.transactions.run(write)
    assert clock.pauses == [TURN_SECONDS]
