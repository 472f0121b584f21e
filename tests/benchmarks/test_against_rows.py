"""The durable writes are compared with one worker and with four, by the same targets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.against_rows import WORKERS, Side, write_rows, write_times
from benchmarks.credentials_rows import Plan
from benchmarks.subjects import ROOT
from czo_auth.storage.migrate import upgrade_blocking

TIMES = {"today": [(1.0, 4.0, 2.0), (3.0, 6.0, 3.0)], "older": [(8.0, 8.0, 8.0), (8.0, 8.0, 8.0)]}


def side(name: str, folder: Path) -> Side:
    return Side(name, ROOT, Path(sys.executable), folder / f"{name}.sqlite3", folder, folder)


@pytest.mark.parametrize(("workers", "suffix"), [(1, ""), (4, ", four workers")])
def test_durable_writes_have_the_same_targets_for_each_number_of_workers(workers: int, suffix: str) -> None:
    rows = write_rows(TIMES, workers=workers, commit="0afd699df22a")
    assert [(row.operation, row.value, row.target, row.met) for row in rows] == [
        (f"time of a durable write, 32 clients{suffix}", 0.25, 0.25, True),
        (f"time of a durable write, one client{suffix}", 0.625, 0.77, True),
        (f"p99 of a durable write, 32 clients{suffix}", 0.3125, 0.5, True),
    ]


def test_both_numbers_of_workers_reach_the_command(tmp_path: Path) -> None:
    assert list(WORKERS) == [1, 4]
    for workers in WORKERS:
        command = side("today", tmp_path).server(workers=workers).command
        assert list(command[-2:]) == ["--workers", str(workers)]


@pytest.mark.deep
def test_writes_of_both_sides_are_measured_with_several_workers(tmp_path: Path) -> None:
    sides = [side(name, tmp_path) for name in TIMES]
    for each in sides:
        upgrade_blocking(f"sqlite:///{each.database}")
    plan = Plan(rounds=1, seconds=0.3, sizes=(), with_peers=False)
    times = write_times(plan, tmp_path, sides, workers=4)
    assert {name: len(rounds) for name, rounds in times.items()} == {"today": 1, "older": 1}
    assert all(seconds > 0 for rounds in times.values() for seconds in rounds[0])
