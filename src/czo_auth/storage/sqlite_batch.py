"""
Group commit: steps that wait at the same time share one transaction and one fsync.

Each step runs in a savepoint, so a failing step leaves nothing behind and does not affect others. Every step gets its
result after the COMMIT, refusals included, because what it saw of an earlier step is true only once both are durable.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.transaction import Transaction
from czo_auth.storage.errors import is_outage, sqlite_error

BATCH: Final = 64
"""Steps in one transaction at most."""

BATCH_SECONDS: Final = 0.1
"""
A transaction takes no further step in after this time, so that other processes on the file get their turn.

Where the last COMMIT took longer, the next transaction takes steps in for as long as that, up to
`SLOW_BATCH_SECONDS`: on a slow disk more steps have to share one.
"""

SLOW_BATCH_SECONDS: Final = 1.0

CREDIT: Final = 2.0
"""How much longer than its timeout a step may wait while steps before it are written. Unit: its timeout."""

_SAVEPOINT: Final = "czo_auth_step"


@dataclass(slots=True)
class Progress:
    """
    What one thread has written so far. Changed by that thread alone.

    Attributes:
        seconds: Time spent on transactions that were committed, in all. What a step takes beyond the time of a batch
            does not count: a thread that hangs makes no progress.
        last_commit: Seconds that the last COMMIT took.
        last_transaction: Seconds that the last committed transaction took, with its COMMIT.
        ended_at: When it ended, by the monotonic clock.
    """

    seconds: float = 0.0
    last_commit: float = 0.0
    last_transaction: float = 0.0
    ended_at: float = 0.0

    def batch_seconds(self) -> float:
        """Return how long the next transaction may take steps in."""
        return min(max(BATCH_SECONDS, self.last_commit), SLOW_BATCH_SECONDS)

    def note(self, *, steps: float, commit: float) -> None:
        """Count a transaction that ends now, by the seconds that its steps and its COMMIT took."""
        self.ended_at = time.monotonic()
        self.seconds += min(steps, self.batch_seconds()) + commit
        self.last_commit = commit
        self.last_transaction = steps + commit


@dataclass(frozen=True, slots=True)
class WaitingStep:
    """
    A step in the queue.

    The time in which steps before it are written does not count as waiting, up to `CREDIT`: the queue moves on, and
    a client that is sent away comes back and makes it longer.

    Attributes:
        timeout: Seconds within which its transaction has to have begun.
        queued_at: Monotonic time, in seconds.
        progress: What its thread has written.
        written_before: Seconds of that progress when it was queued.
    """

    step: Callable[[Transaction], Any]
    future: Future[Any]
    timeout: float
    queued_at: float
    progress: Progress
    written_before: float

    def seconds_left(self) -> float:
        """Return how long the step may still wait."""
        credit = min(self.progress.seconds - self.written_before, CREDIT * self.timeout)
        return self.queued_at + self.timeout + credit - time.monotonic()


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """Another job for the worker's thread, outside any transaction."""

    act: Callable[[], Any]
    future: Future[Any]

    def answer(self) -> None:
        """Run it, and return the result to the caller."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.act())
        except BaseException as error:
            self.future.set_exception(error)


class StepQueue:
    """The queue of one thread, in order of submission."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[WaitingStep | WaitingCall | None] = SimpleQueue()
        self._next: list[WaitingStep | WaitingCall | None] = []

    def put(self, job: WaitingStep | WaitingCall | None) -> None:
        """Append *job*; None ends the thread."""
        self._waiting.put(job)

    def get(self) -> WaitingStep | WaitingCall | None:
        """Take the next job, and wait for one if there is none."""
        return self._next.pop() if self._next else self._waiting.get()

    def get_step(self) -> WaitingStep | None:
        """Take the next job if it is already queued, is a step, and its caller is still waiting."""
        while not self._next:
            try:
                job = self._waiting.get_nowait()
            except Empty:
                return None
            if not isinstance(job, WaitingStep):
                self._next.append(job)
            elif job.future.set_running_or_notify_cancel():
                return job
        return None


class BatchConnection(Protocol):
    """What a batch needs of the connection that it runs on."""

    def begin(self, *, timeout: float) -> sqlite3.Connection:
        """
        Begin a transaction, and return the driver's connection.

        Raises:
            StorageUnavailable: It could not begin within *timeout* seconds, or the file does not work.
        """

    def perform(self, step: Callable[[Transaction], Any]) -> Any:
        """Run *step* with all that belongs to it, in the open transaction."""

    def commit(self) -> None:
        """Make everything durable."""

    def roll_back(self, error: BaseException) -> BaseException:
        """Roll everything back, discard a broken connection, and return the error for the caller."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    waiting: WaitingStep
    result: Any = None
    error: BaseException | None = None

    def answer(self) -> None:
        if self.error is None:
            self.waiting.future.set_result(self.result)
        else:
            self.waiting.future.set_exception(self.error)


class _TransactionLost(Exception):
    """The database rolled back the whole transaction, or cannot be trusted to continue it."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def perform_batch(
    connection: BatchConnection, first: WaitingStep, queue: StepQueue, *, max_steps: int
) -> None:
    """
    Run *first* and the steps queued behind it in one transaction, and return each result.

    A step that loses the whole transaction (a full disk, a broken file) fails; the others are run again, each in a
    transaction of its own. When the COMMIT fails, all fail.
    """
    outcomes: list[_Outcome] = []
    try:
        raw = connection.begin(timeout=first.seconds_left())
    except BaseException as error:
        first.future.set_exception(connection.roll_back(error))
        return
    begun_at = time.monotonic()
    stop_at = begun_at + first.progress.batch_seconds()
    waiting: WaitingStep | None = first
    while waiting is not None:
        try:
            outcomes.append(_perform_in_savepoint(connection, raw, waiting))
        except _TransactionLost as lost:
            _answer_without(connection, waiting, lost.cause, outcomes)
            return
        may_go_on = len(outcomes) < max_steps and time.monotonic() < stop_at
        waiting = queue.get_step() if may_go_on else None
    _commit(connection, outcomes, begun_at=begun_at)


def _perform_in_savepoint(
    connection: BatchConnection, raw: sqlite3.Connection, waiting: WaitingStep
) -> _Outcome:
    if waiting.seconds_left() <= 0:
        return _Outcome(waiting, error=StorageUnavailable())
    try:
        raw.execute(f"SAVEPOINT {_SAVEPOINT}")
        result = connection.perform(waiting.step)
        raw.execute(f"RELEASE {_SAVEPOINT}")
    except BaseException as error:
        return _Outcome(waiting, error=_undo_step(raw, error))
    return _Outcome(waiting, result=result)


def _undo_step(raw: sqlite3.Connection, error: BaseException) -> BaseException:
    """
    Roll back a failed step, and return its error for the caller.

    Raises:
        _TransactionLost: What failed is the database, not the step.
    """
    if not raw.in_transaction or is_outage(error):
        raise _TransactionLost(error)
    known = sqlite_error(error) if isinstance(error, Exception) else error
    try:
        raw.execute(f"ROLLBACK TO {_SAVEPOINT}")
        raw.execute(f"RELEASE {_SAVEPOINT}")
    except sqlite3.Error:
        raise _TransactionLost(error) from None
    if known is not error:
        known.__cause__ = None
        known.__suppress_context__ = True
    return known


def _answer_without(
    connection: BatchConnection, failed: WaitingStep, cause: BaseException, others: list[_Outcome]
) -> None:
    """Fail one step, and run the others again, each by itself."""
    failed.future.set_exception(connection.roll_back(cause))
    for other in others:
        begun_at = time.monotonic()
        try:
            connection.begin(timeout=other.waiting.seconds_left())
            result = connection.perform(other.waiting.step)
            ran_at = time.monotonic()
            connection.commit()
            other.waiting.progress.note(steps=ran_at - begun_at, commit=time.monotonic() - ran_at)
        except BaseException as error:
            other.waiting.future.set_exception(connection.roll_back(error))
        else:
            other.waiting.future.set_result(result)


def _commit(connection: BatchConnection, outcomes: list[_Outcome], *, begun_at: float) -> None:
    ran_at = time.monotonic()
    try:
        connection.commit()
    except BaseException as error:
        known = connection.roll_back(error)
        for outcome in outcomes:
            # One instance each: a traceback grows with everyone who raises it.
            outcome.waiting.future.set_exception(copy(known))
        return
    outcomes[0].waiting.progress.note(steps=ran_at - begun_at, commit=time.monotonic() - ran_at)
    for outcome in outcomes:
        outcome.answer()
