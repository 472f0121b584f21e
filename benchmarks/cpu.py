"""CPU time of processes whose children come and go: backends of PostgreSQL, workers of a server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import psutil

_TRIES: Final = 100


def tree(pid: int) -> list[psutil.Process]:
    """List a process and all below it, parents before their children."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def seconds_of_tree(pid: int) -> float:
    """
    Return the CPU time that a process and all below it used so far, those that ended included. Unit: seconds.

    The system counts it in hundredths of a second. It adds what a child used to its parent's record when the child
    ends; macOS does not, and there the time of ended processes is missing.

    Raises:
        psutil.NoSuchProcess: The process itself has ended.
        RuntimeError: Some process ended during every try.
    """
    for _ in range(_TRIES):
        processes = tree(pid)
        try:
            # Who ends before its turn raises; who ends after it was not yet in its parent's record.
            return sum(_with_ended_children(process) for process in processes)
        except psutil.NoSuchProcess:
            continue
    raise RuntimeError(f"processes below {pid} end all the time")


def seconds_of_each(processes: Collection[psutil.Process]) -> Mapping[psutil.Process, float]:
    """
    Return the CPU time that each process used so far, without its children. Unit: seconds.

    Raises:
        psutil.NoSuchProcess: One has ended, and what it used is not known any more.
    """
    found = {}
    for process in processes:
        times = process.cpu_times()
        found[process] = times.user + times.system
    return found


def _with_ended_children(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
