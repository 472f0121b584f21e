"""A worker process of the server, and the signals that it is sent."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator

import pytest

from czo_auth import Auth
from czo_auth.cli.processes import Worker
from tests.support.settings import settings

WISHES_TO_END = {signal.SIGINT, signal.SIGTERM}


@pytest.fixture
def _held_signals() -> Iterator[None]:
    """As in a worker that is starting: neither signal gets through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WISHES_TO_END)
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def _collector() -> Iterator[None]:
    """Python's own thresholds, and afterwards those that the tests have."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_held_signals", "_collector")
async def test_worker_collects_old_garbage_rarely_and_young_garbage_in_small_parts(
    migrated_sqlite_url: str,
) -> None:
    worker = Worker(Auth(settings(migrated_sqlite_url)), supervisor=os.getppid())
    loop = asyncio.get_running_loop()
    await worker.started()
    try:
        youngest, middle, oldest = gc.get_threshold()
    finally:
        await worker.ending()
        loop.remove_signal_handler(signal.SIGTERM)
    assert youngest * middle <= 700 * 10 / 2
    assert youngest * middle * oldest >= 700 * 10 * 10 * 5


@pytest.mark.usefixtures("_held_signals", "_collector")
async def test_worker_that_is_signaled_twice_at_once_ends_once(migrated_sqlite_url: str) -> None:
    """SIGTERM to the whole group comes twice, the supervisor's after the terminal's; granian blocks at a second end."""
    worker = Worker(Auth(settings(migrated_sqlite_url)), supervisor=os.getppid())
    loop = asyncio.get_running_loop()
    ends: list[int] = []
    loop.add_signal_handler(signal.SIGINT, ends.append, 1)
    await worker.started()
    try:
        # The loop hears of both before it does anything about the first.
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            while not ends:  # noqa: ASYNC110 - a signal comes from outside
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(ends) == 1
    finally:
        await worker.ending()
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
