"""Group commit: one fsync for all that wait, and each step as safe as in a transaction of its own."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from czo_auth.core.errors import InvalidToken, StorageUnavailable
from czo_auth.core.transaction import Transaction
from czo_auth.storage import sqlite_batch
from czo_auth.storage.errors import StorageError
from czo_auth.storage.sqlite import CONTINUE_AT_ONCE, SqliteStorage
from czo_auth.storage.sqlite_batch import (
    BATCH,
    BATCH_SECONDS,
    SLOW_BATCH_SECONDS,
    Progress,
    WaitingStep,
)
from czo_auth.storage.sqlite_file import database_path
from czo_auth.storage.sqlite_worker import SqliteWorker
from tests.storage.batch_process import ROWS, STEPS
from tests.support.monotonic import MonotonicClock
from tests.support.records import NOW, a_session, a_user, an_id
from tests.support.turns import Turns

ROOT = Path(__file__).parents[2]
STEP_SECONDS = 0.03
"""Four of these last longer than `BATCH_SECONDS`; in a commit of 0.23 s, eight begin."""


@pytest.fixture
async def storage(migrated_sqlite_url: str) -> AsyncIterator[SqliteStorage]:
    opened = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_", timeout=20.0)
    await opened.start()
    yield opened
    await opened.close()


class HeldThread:
    """The writing thread, held inside a step, so that what is asked for meanwhile waits together."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._begun = threading.Event()
        self._released = threading.Event()

    def step(self, tx: Transaction) -> None:
        """Hold the thread."""
        raw = tx.connection.connection.driver_connection  # type: ignore[attr-defined]
        raw.set_trace_callback(self.statements.append)
        self._begun.set()
        self._released.wait(20)

    async def held(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 20)

    def release(self) -> None:
        self._released.set()

    def count(self, statement: str) -> int:
        return sum(one.startswith(statement) for one in self.statements)


@asynccontextmanager
async def held_thread(storage: SqliteStorage) -> AsyncIterator[HeldThread]:
    held = HeldThread()
    holding = asyncio.create_task(storage.transactions.run(held.step))
    await held.held()
    try:
        yield held
    finally:
        held.release()
        await asyncio.gather(holding, return_exceptions=True)


def add(name: str) -> Callable[[Transaction], bool]:
    return lambda tx: tx.key_checks.add(name, "a check", now=NOW)


async def names(storage: SqliteStorage) -> set[str]:
    return set(await storage.transactions.read(lambda tx: tx.key_checks.find_all()))


async def run_together(
    storage: SqliteStorage, *steps: Callable[[Transaction], object]
) -> tuple[list[object], HeldThread]:
    """Run *steps* so that all of them wait before the first is taken up; give what each answered or raised."""
    async with held_thread(storage) as held:
        waiting = [asyncio.create_task(storage.transactions.run(step)) for step in steps]
        await asyncio.sleep(0)
        held.release()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    return list(outcomes), held


async def test_steps_that_wait_together_share_one_commit(storage: SqliteStorage) -> None:
    outcomes, held = await run_together(storage, *(add(f"k{number}") for number in range(20)))
    assert outcomes == [True] * 20
    assert held.count("COMMIT") == 1
    assert await names(storage) == {f"k{number}" for number in range(20)}


async def test_batch_has_an_upper_bound(storage: SqliteStorage) -> None:
    steps = [add(f"k{number}") for number in range(2 * BATCH)]
    outcomes, held = await run_together(storage, *steps)
    assert outcomes == [True] * len(steps)
    assert held.count("COMMIT") >= 2
    batches = "".join(_letter(statement) for statement in held.statements).split("C")
    assert max(map(len, batches)) <= BATCH


@pytest.mark.parametrize(
    ("commit_seconds", "batches"),
    [
        pytest.param(0.0, [4, 4, 4], id="quick disk"),
        pytest.param(0.23, [4, 8], id="a batch lasts as long as the commit before it"),
    ],
)
async def test_batch_takes_no_further_step_in_when_its_time_is_over(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch, commit_seconds: float, batches: list[int]
) -> None:
    clock = MonotonicClock()
    commit = SqliteWorker.commit

    def commit_in_its_time(worker: SqliteWorker) -> None:
        clock.seconds += commit_seconds
        commit(worker)

    def add_slowly(name: str) -> Callable[[Transaction], bool]:
        def add_in_its_time(tx: Transaction) -> bool:
            clock.seconds += STEP_SECONDS
            return add(name)(tx)

        return add_in_its_time

    monkeypatch.setattr(SqliteWorker, "commit", commit_in_its_time)
    monkeypatch.setattr(sqlite_batch, "time", clock)
    steps = [add_slowly(f"k{number}") for number in range(sum(batches))]
    outcomes, held = await run_together(storage, *steps)
    assert outcomes == [True] * len(steps)
    *lengths, after_the_last = map(len, "".join(map(_letter, held.statements)).split("C"))
    assert (lengths, after_the_last) == (batches, 0)


def _letter(statement: str) -> str:
    if statement == "COMMIT":
        return "C"
    return "s" if statement.startswith("SAVEPOINT czo_auth") else ""


def refuse(tx: Transaction) -> None:
    tx.key_checks.add("of a refusal", "a check", now=NOW)
    raise LookupError("refused")


def violate_a_constraint(tx: Transaction) -> None:
    tx.key_checks.add("of a fault", "a check", now=NOW)
    tx.sessions.add(a_session(a_user().id), token_digest="0" * 64)


async def test_step_that_fails_hurts_no_other(storage: SqliteStorage) -> None:
    outcomes, held = await run_together(storage, add("a"), refuse, add("b"), violate_a_constraint, add("c"))
    kinds = [outcome if isinstance(outcome, bool) else type(outcome) for outcome in outcomes]
    assert kinds == [True, LookupError, True, StorageError, True]
    assert held.count("COMMIT") == 1
    assert await names(storage) == {"a", "b", "c"}


async def test_step_sees_what_an_earlier_one_of_its_batch_took(storage: SqliteStorage) -> None:
    outcomes, _ = await run_together(storage, *(add("only once") for _ in range(8)))
    assert sorted(map(bool, outcomes)) == [False] * 7 + [True]


def break_the_commit(tx: Transaction) -> None:
    connection = tx.connection  # type: ignore[attr-defined]
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    tx.sessions.add(a_session(a_user().id), token_digest="1" * 64)


async def test_commit_that_fails_fails_all(storage: SqliteStorage) -> None:
    outcomes, _ = await run_together(storage, add("a"), break_the_commit, refuse, add("b"))
    assert all(isinstance(outcome, StorageError) for outcome in outcomes), outcomes
    assert len({id(outcome) for outcome in outcomes}) == len(outcomes)
    assert await names(storage) == set()
    assert await storage.transactions.run(add("afterwards"))


def fill_the_disk(tx: Transaction) -> None:
    connection = tx.connection  # type: ignore[attr-defined]
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    tx.users.add(a_user(name="x" * 200_000))


async def test_step_that_loses_the_transaction_fails_alone(storage: SqliteStorage) -> None:
    outcomes, _ = await run_together(storage, add("a"), refuse, fill_the_disk, add("b"))
    kinds = [outcome if isinstance(outcome, bool) else type(outcome) for outcome in outcomes]
    assert kinds == [True, LookupError, StorageUnavailable, True]
    assert await names(storage) == {"a", "b"}


async def test_refusal_is_answered_after_the_commit_only(storage: SqliteStorage) -> None:
    """It may rest on what an earlier step of the same batch wrote, which a failing commit would take back."""
    in_last_step, may_end = threading.Event(), threading.Event()

    def wait_in_step(tx: Transaction) -> None:
        in_last_step.set()
        may_end.wait(20)

    async with held_thread(storage) as held:
        refused = asyncio.create_task(storage.transactions.run(refuse))
        last = asyncio.create_task(storage.transactions.run(wait_in_step))
        await asyncio.sleep(0)
        held.release()
        assert await asyncio.to_thread(in_last_step.wait, 20)
        await asyncio.sleep(0.05)
        assert not refused.done()
        may_end.set()
        await asyncio.gather(refused, last, return_exceptions=True)
    assert held.count("COMMIT") == 1


async def test_step_past_its_deadline_is_not_run(migrated_sqlite_url: str) -> None:
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_", timeout=0.2)
    await storage.start()
    run = threading.Event()
    async with held_thread(storage):
        late = asyncio.create_task(storage.transactions.run(lambda tx: run.set()))
        await asyncio.sleep(0.4)
    with pytest.raises(StorageUnavailable):
        await late
    assert not run.is_set()
    await storage.close()


async def test_time_in_which_the_queue_moves_on_is_not_waiting(
    migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a slow disk: of three commits the last begins after the time of those that wait is over."""
    commit = SqliteWorker.commit

    def commit_slowly(worker: SqliteWorker) -> None:
        time.sleep(1.1)
        commit(worker)

    monkeypatch.setattr(SqliteWorker, "commit", commit_slowly)
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_", timeout=2.0)
    await storage.start()
    waiting = [storage.transactions.run(add(f"k{number}")) for number in range(2 * BATCH + 1)]
    assert await asyncio.gather(*waiting) == [True] * len(waiting)
    await storage.close()


def test_queue_that_is_too_long_sends_away_all_the_same() -> None:
    progress = Progress(seconds=7.0)
    step = WaitingStep(len, Future(), 5.0, time.monotonic(), progress, progress.seconds)
    assert 4 < step.seconds_left() <= 5
    progress.note(steps=0.05, commit=1.0)
    assert 5 < step.seconds_left() <= 6.05
    for _ in range(100):
        progress.note(steps=0.05, commit=1.0)
    assert 14 < step.seconds_left() <= 15


def test_batch_lasts_as_long_as_the_commit_before_and_a_step_that_hangs_is_no_progress() -> None:
    progress = Progress()
    assert progress.batch_seconds() == BATCH_SECONDS
    progress.note(steps=60.0, commit=0.5)
    assert progress.seconds == BATCH_SECONDS + 0.5
    assert progress.batch_seconds() == 0.5
    progress.note(steps=0.0, commit=60.0)
    assert progress.batch_seconds() == SLOW_BATCH_SECONDS


async def test_caller_who_left_the_queue_is_passed_over(storage: SqliteStorage) -> None:
    async with held_thread(storage) as held:
        gone = asyncio.create_task(storage.transactions.run(add("gone")))
        stays = asyncio.create_task(storage.transactions.run(add("stays")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        held.release()
        assert await stays
    assert await names(storage) == {"stays"}


async def test_audit_chain_holds_across_a_batch(storage: SqliteStorage) -> None:
    from czo_auth.core.context import system_context
    from czo_auth.core.events.types import AuditEvent

    def record(tx: Transaction) -> None:
        tx.acting_as(system_context(NOW)).record(AuditEvent(action="test.happened", user_id=an_id()))

    def record_and_refuse(tx: Transaction) -> None:
        record(tx)
        raise LookupError

    await run_together(storage, record, record_and_refuse, record, record)
    records = await storage.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=10))
    assert [one.sequence for one in records] == [1, 2, 3]
    assert [two.previous_hash for two in records[1:]] == [one.hash for one in records[:-1]]


@pytest.mark.parametrize(
    ("point", "kept", "answered"),
    [
        ("within a savepoint", 0, 0),
        ("between savepoints", 0, 0),
        ("before the commit", 0, 0),
        ("after the commit, before the answers", STEPS, 0),
        ("after the answers", STEPS, STEPS),
    ],
)
def test_kill_leaves_all_of_a_batch_or_nothing_and_what_was_answered_is_there(
    migrated_sqlite_url: str, point: str, kept: int, answered: int
) -> None:
    command = [sys.executable, "-m", "tests.storage.batch_process", migrated_sqlite_url, point]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    with closing(sqlite3.connect(database_path(migrated_sqlite_url))) as connection:
        rows = {kid for (kid,) in connection.execute("SELECT kid FROM czo_auth_key_checks")}
    assert rows == {f"{number} {row}" for number in range(kept) for row in ROWS}
    assert sorted(process.stdout.split()) == [str(number) for number in range(answered)]


async def test_callers_of_one_commit_continue_a_few_in_each_turn_of_the_loop(storage: SqliteStorage) -> None:
    continued: list[int] = []

    def refuse(tx: Transaction) -> None:
        raise InvalidToken

    async def write(number: int) -> None:
        with suppress(InvalidToken):
            await storage.transactions.run(refuse if number % 2 else add(f"user-{number}"))
        continued.append(turns.number)

    turns = Turns()
    async with held_thread(storage) as held:
        writing = [asyncio.create_task(write(number)) for number in range(BATCH)]
        await asyncio.sleep(0)
        held.release()
        # The loop is busy until all of them are answered, which is then one turn's work.
        time.sleep(0.5)  # noqa: ASYNC251 - it stands for other work of the loop
    await asyncio.gather(*writing)
    turns.stop()
    assert len(continued) == BATCH
    assert max(Counter(continued).values()) <= CONTINUE_AT_ONCE
