"""A flood of requests that write: on a slow disk too, each is answered by what it asked, and none is sent away."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from functools import partial

import pytest

from czo_auth.core.transaction import Transaction
from czo_auth.storage.sqlite_worker import SqliteWorker
from tests.contract.deployments import Timed

FLOOD = 200
SLOW_COMMIT_SECONDS = 0.1
"""So long that one commit for each write would take four times as long as a step may wait."""


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let each commit of SQLite take its time; gives when they began."""
    commits: list[float] = []
    commit = SqliteWorker.commit

    def commit_slowly(worker: SqliteWorker) -> None:
        commits.append(time.monotonic())
        time.sleep(SLOW_COMMIT_SECONDS)
        commit(worker)

    monkeypatch.setattr(SqliteWorker, "commit", commit_slowly)
    return commits


async def test_wrong_codes_at_once_are_all_judged(timed_sqlite: Timed, slow_disk: list[float]) -> None:
    people = timed_sqlite.people
    challenge = await people.challenge(timed_sqlite.carol)
    slow_disk.clear()
    answers = await asyncio.gather(*(people.verify("000000", challenge=challenge) for _ in range(FLOOD)))
    assert {answer.status_code for answer in answers} <= {400, 401, 403, 429}
    assert len(slow_disk) < FLOOD / 4


async def test_changes_at_once_are_all_made(timed_sqlite: Timed, slow_disk: list[float]) -> None:
    # Steps that cost little: a machine that is busy otherwise must not decide how this ends.
    run = timed_sqlite.runtime.services.transactions.run
    now = timed_sqlite.runtime.now()
    slow_disk.clear()
    added = await asyncio.gather(
        *(run(partial(_add_check, kid=f"flood-{number}", now=now)) for number in range(FLOOD))
    )
    assert added == [True] * FLOOD
    assert len(slow_disk) < FLOOD / 4


def _add_check(tx: Transaction, *, kid: str, now: datetime) -> bool:
    return tx.key_checks.add(kid, "a check", now=now)
