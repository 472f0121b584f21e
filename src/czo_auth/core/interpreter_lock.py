"""
The interpreter's lock, given away in the middle of long work.

A thread that releases the lock in a call, as drivers of databases and event loops do, takes it back within
microseconds: before another thread that waits for the lock has woken up. That thread begins to wait again, and asks for
the lock only after a whole switch interval without a release (``take_gil`` in CPython's ``ceval_gil.c``). So beside a
thread that makes many short calls it gets the lock by luck, and everything that it does for others waits. Only sleeping
gives the lock away.
"""

from __future__ import annotations

import time
from typing import Final

SHORTEST_SLEEP_SECONDS: Final = 0.00001
"""The shortest sleep that is one; Linux makes tens of microseconds of it."""


def let_other_threads_run() -> None:
    """Sleep for a moment, so that a thread that waits for the interpreter's lock gets it."""
    time.sleep(SHORTEST_SLEEP_SECONDS)
