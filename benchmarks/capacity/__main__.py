"""Measure, simulate, compute, and write the tables of docs/scaling.md: ``python -m benchmarks.capacity [--quick]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.capacity import costs, plan, reality, sizes
from benchmarks.measure import HELLO
from benchmarks.report import RESULTS
from tests.support.postgres import PostgresServer

PAGE = Path(__file__).parents[2] / "docs/scaling.md"
KEYS, CHECKS, PROCESSES = 10**8, 10**5, 64


def main() -> int:
    """Run everything on this machine."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rows and requests, and nothing is written"
    )
    quick = parser.parse_args().quick
    each, requests, rounds = (500, 2_000, 3) if quick else (5_000, 20_000, 15)
    with tempfile.TemporaryDirectory(prefix="czo-capacity-") as folder, PostgresServer() as postgres:
        measured = list(asyncio.run(sizes.measure(Path(folder), postgres, each=each)))
        compared = list(reality.compare(postgres, requests=requests))
        cost = costs.measure(postgres, requests=requests // 2, rounds=rounds)
    around = server_cost()
    tables = {
        "sizes": _table(
            ("one", "SQLite, bytes", "PostgreSQL, bytes"),
            [(size.kind, f"{size.sqlite:.0f}", f"{size.postgresql:.0f}") for size in measured],
        ),
        "simulated": _table(
            ("keys", "remembered", "changes a second", "recalled, measured", "recalled, simulated"),
            [
                (
                    f"{each.load.keys:,}",
                    f"{each.load.remembered:,}",
                    f"{each.load.changes_a_second:g}",
                    f"{each.measured:.3f}",
                    f"{each.simulated:.3f}",
                )
                for each in compared
            ],
        ),
        "costs": _table(
            ("one check", "CPU, µs", "lowest round", "highest round"),
            [
                _cost("recalled, in the process", cost.recalled),
                _cost("asked for, one at a time, in the process", cost.alone),
                _cost("asked for, one at a time, in PostgreSQL", cost.alone_database),
                _cost(f"asked for, {costs.TOGETHER} at once, in the process", cost.together),
                _cost(f"asked for, {costs.TOGETHER} at once, in PostgreSQL", cost.together_database),
                ("the web server around it", f"{around:.1f}", "", ""),
            ],
        ),
        "plan": _table(
            (
                "changes a second",
                "kept for, s",
                "recalled",
                "asked a second",
                "server cores",
                "database cores",
            ),
            [_planned(cost, around, changes, bound) for changes, bound in PLANS],
        ),
    }
    for name, table in tables.items():
        print(f"{name}\n{table}\n")
    if not quick:
        _write(tables)
    return 0


PLANS = ((0, 5.0), (0, 60.0), (1, 60.0), (10, 5.0), (100, 5.0))


def server_cost() -> float:
    """
    Read what the web server takes for one request without czo-auth, as `make bench` measured it last. Unit: µs of CPU.

    It is measured once beside each database; the larger figure counts.
    """
    rows = json.loads(RESULTS.read_text("utf-8"))["rows"]
    return max(row["cpu_us"] for row in rows if row["operation"] == "hello" and row["subject"] == HELLO)


def _cost(what: str, figure: costs.Figure) -> Sequence[str]:
    return what, f"{figure.median:.1f}", f"{min(figure.rounds):.1f}", f"{max(figure.rounds):.1f}"


def _planned(cost: costs.Costs, around: float, changes: float, bound: float) -> Sequence[str]:
    found = plan.plan(
        keys=KEYS,
        checks_a_second=CHECKS,
        processes=PROCESSES,
        changes_a_second=changes,
        bound_seconds=bound,
        server_cost=around,
        recalled_cost=cost.recalled.median,
        # The dearer ones: nothing promises that lookups wait together.
        asked_cost=cost.alone.median,
        database_cost=cost.alone_database.median,
    )
    return (
        f"{changes:g}",
        f"{bound:g}",
        f"{found.recalled:.2f}",
        f"{found.asked_a_second:,.0f}",
        f"{found.server_cores:.1f}",
        f"{found.database_cores:.1f}",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- " + "| ---: " * (len(head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _write(tables: dict[str, str]) -> None:
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), tables), "utf-8")


def with_tables(text: str, tables: dict[str, str]) -> str:
    """
    Put each table between its two marks, whatever stood there.

    Raises:
        ValueError: The text has no such marks.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"there is no place for the table {name}")
        text = f"{head}{begin}{table}\n{end}{tail}"
    return text


if __name__ == "__main__":
    sys.exit(main())
