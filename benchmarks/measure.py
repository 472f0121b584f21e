"""
Interleaved rounds: every subject in turn, again and again, so that a slow minute of the machine affects all of them
equally.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.cpu import seconds_of_tree
from benchmarks.load import bear
from benchmarks.subjects import Subject
from tests.support.postgres import PostgresServer

HELLO = "raw ASGI hello"
OURS = "czo-auth"


@dataclass(kw_only=True)
class Row:
    """
    One line of the results.

    Args:
        value: The ratio or figure that ``target`` bounds.
        note: What a subject does differently.
    """

    operation: str
    subject: str
    database: str | None = None
    keys: int | None = None
    cpu_us: float | None = None
    rps: float | None = None
    value: float | None = None
    unit: str | None = None
    target: float | None = None
    met: bool | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        if self.met is None and self.target is not None and self.value is not None:
            # As precisely as the figure is shown.
            self.met = float(f"{self.value:.3g}") <= self.target

    def as_json(self) -> dict[str, Any]:
        """Return the line without the fields that do not apply, with figures rounded to their precision."""
        plain = {name: _rounded(value) for name, value in asdict(self).items()}
        return {name: value for name, value in plain.items() if name != "note" or value is not None}


@dataclass
class Series:
    """
    The results of the rounds for one subject.

    Attributes:
        cpu_us: CPU time of a request: the server's, and its database server's where it has one. Unit: microseconds.
        server_us: The server's part of that.
        database_us: CPU time of the watched database server, for all who use it, divided by the requests.
        database: The same. Unit: milliseconds a second.
    """

    cpu_us: list[float] = field(default_factory=list)
    server_us: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)
    rps: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_us)

    @property
    def rate(self) -> float:
        return statistics.median(self.rps)

    def ratio_to(self, other: Series) -> float:
        """Compare round by round, because neighbors in time saw the same machine."""
        return statistics.median(
            mine / theirs for mine, theirs in zip(self.cpu_us, other.cpu_us, strict=True)
        )


def in_rounds(
    subjects: Sequence[Subject],
    *,
    rounds: int,
    seconds: float,
    watched: PostgresServer | None = None,
    warm_seconds: float = 0,
) -> dict[str, Series]:
    """
    Put load on running *subjects* in turn, after one round that warms them up.

    Args:
        warm_seconds: How much of the same load comes right before that which is measured, for what is forgotten while
            it is others' turn.
        watched: A database server that others use as well; its CPU time is recorded for every subject.

    Raises:
        RuntimeError: A server refused or failed.
    """
    series: dict[str, Series] = {subject.name: Series() for subject in subjects}
    taking_part = list(subjects)
    for number in range(rounds + 1):
        for subject in list(taking_part):
            if number and warm_seconds:
                bear(subject.port, subject.path, subject.tokens, seconds=warm_seconds, asker=subject.asker)
            before, own = subject.cpu_seconds(), subject.server_cpu_seconds()
            begun, database = time.perf_counter(), _cpu_of_database(watched)
            load = bear(
                subject.port,
                subject.path,
                subject.tokens,
                seconds=seconds if number else 1,
                asker=subject.asker,
            )
            used, own = subject.cpu_seconds() - before, subject.server_cpu_seconds() - own
            database, lasted = _cpu_of_database(watched) - database, time.perf_counter() - begun
            if load.failures or (number and not load.requests):
                fault = f"{subject.name}: {load.failures} of {load.requests} requests failed"
                if not subject.is_peer:
                    raise RuntimeError(fault)
                print(f"left out: {fault}", flush=True)
                taking_part.remove(subject)
                del series[subject.name]
                continue
            if number:
                found = series[subject.name]
                found.cpu_us.append(used / load.requests * 1e6)
                found.rps.append(load.rate)
                found.p99.append(load.p99)
                found.server_us.append(own / load.requests * 1e6)
                found.database_us.append(database / load.requests * 1e6)
                found.database.append(database / lasted * 1000)
        _tell(number, rounds, series)
    return series


def _cpu_of_database(server: PostgresServer | None) -> float:
    return 0.0 if server is None else seconds_of_tree(server.pid)


def _tell(number: int, rounds: int, series: dict[str, Series]) -> None:
    busy = os.getloadavg()[0]
    latest = ", ".join(f"{name} {found.cpu_us[-1]:.0f}" for name, found in series.items() if found.cpu_us)
    print(f"  round {number}/{rounds} (load {busy:.1f}): {latest or 'warm'}", flush=True)


def _rounded(value: object) -> object:
    return value if not isinstance(value, float) else float(f"{value:.4g}")
