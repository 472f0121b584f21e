"""Which processes are still alive, the question of every test that ends a server, and what can be done to them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import psutil
import pytest

needs_file_limits = pytest.mark.skipif(
    not hasattr(psutil, "RLIMIT_FSIZE"), reason="needs a system that limits files per process from outside"
)
"""Marks a case in which the files of a running server may not grow."""


def is_alive(process: psutil.Process) -> bool:
    """Say whether *process* runs; a zombie, which only waits for init to take note, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def still_alive(processes: Iterable[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Wait until all *processes* have ended; gives those that have not after *seconds*."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.01)
        left = [process for process in left if is_alive(process)]
    return left


def with_pids(pids: Iterable[int]) -> list[psutil.Process]:
    """Give the processes that have the ids *pids*, without those that are gone."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found
