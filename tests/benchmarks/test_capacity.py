"""The simulation behind docs/scaling.md: it does what the memory of proved keys does."""

from __future__ import annotations

import random
import re

import pytest

from benchmarks.capacity.__main__ import CHECKS, PAGE, server_cost, with_tables
from benchmarks.capacity.plan import AT_MOST, plan
from benchmarks.capacity.reality import compare
from benchmarks.capacity.simulation import Load, drawn, recalled
from tests.support.postgres import PostgresServer

WITHIN = 0.06


@pytest.mark.deep
def test_simulation_recalls_what_a_real_process_recalls(postgres_server: PostgresServer) -> None:
    for compared in compare(postgres_server, requests=5_000):
        assert abs(compared.measured - compared.simulated) < WITHIN, compared


def test_busy_keys_are_drawn_more_often_and_all_ranks_are_within() -> None:
    chance = random.Random(1)
    ranks = [drawn(1000, chance) for _ in range(20_000)]
    assert (min(ranks), max(ranks) < 1000) == (0, True)
    # Zipf's law: the first key about twice as often as the second.
    assert 1.5 < ranks.count(0) / ranks.count(1) < 2.3


def test_more_changes_recall_less_and_a_longer_bound_more() -> None:
    def part(changes: float, bound: float) -> float:
        load = Load(keys=10_000, checks_a_second=500, changes_a_second=changes, bound_seconds=bound)
        return recalled(load, seconds=20, chance=random.Random(2))

    assert part(50, 5) < part(5, 5) < part(0, 5) < part(0, 20)


def test_plan_is_the_arithmetic_of_the_page() -> None:
    found = plan(
        keys=1000,
        checks_a_second=60_000,
        processes=60,
        changes_a_second=1e9,
        bound_seconds=1,
        server_cost=24,
        recalled_cost=1,
        asked_cost=76,
        database_cost=30,
    )
    # Nothing is recalled: 60,000 × (24 + 76) µs are 6 cores, busy to 60 % 10.
    assert found.recalled == 0
    assert (found.server_cores, found.database_cores) == (pytest.approx(10), pytest.approx(3))


def rows_of(name: str) -> list[list[str]]:
    """Read a table of the page, without its head."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    lines = PAGE.read_text("utf-8").partition(begin)[2].partition(end)[0].splitlines()[2:]
    return [[cell.strip().replace(",", "") for cell in line.strip("| ").split("|")] for line in lines]


def test_cores_on_the_page_follow_from_the_costs_on_the_page() -> None:
    recalled_cost, asked_cost, database_cost, server = (float(row[1]) for row in rows_of("costs"))
    for _, _, part, asked, cores, database_cores in rows_of("plan"):
        share = 1 - float(asked) / CHECKS
        assert float(part) == pytest.approx(share, abs=0.006)
        busy = server + share * recalled_cost + (1 - share) * asked_cost
        # As rounded there.
        assert float(cores) == pytest.approx(CHECKS * busy / 1e6 / AT_MOST, abs=0.06)
        assert float(database_cores) == pytest.approx(
            CHECKS * (1 - share) * database_cost / 1e6 / AT_MOST, abs=0.06
        )


def test_web_server_takes_what_the_last_benchmark_measured() -> None:
    page = (PAGE.parent / "performance.md").read_text("utf-8")
    measured = re.findall(r"^\| hello \| raw ASGI hello \|.*?\| ([0-9.]+) \|", page, re.MULTILINE)
    assert server_cost() == pytest.approx(max(map(float, measured)), abs=0.06)


def test_tables_are_on_the_page_and_can_be_replaced() -> None:
    """Also where nothing stands between the marks."""
    text = PAGE.read_text("utf-8")
    for name in ("sizes", "costs", "simulated", "plan"):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        assert text.partition(begin)[2].partition(end)[0].count("\n| ") >= 4, f"{name} has no rows"
        assert with_tables(f"a\n{begin}{end}\nb", {name: "| 1 |"}) == f"a\n{begin}| 1 |\n{end}\nb"
        assert with_tables(f"{begin}| old |\n{end}", {name: "| 1 |"}) == f"{begin}| 1 |\n{end}"
    with pytest.raises(ValueError, match="no place"):
        with_tables(text, {"unknown": ""})
