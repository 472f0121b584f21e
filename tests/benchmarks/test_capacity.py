"""The simulation behind docs/scaling.md: it does what the memory of proved keys does."""

from __future__ import annotations

import json
import random
import re

import pytest

from benchmarks.capacity.__main__ import CHECKS, PAGE, PROCESSES, server_cost, with_tables
from benchmarks.capacity.costs import measure
from benchmarks.capacity.plan import AT_MOST, plan
from benchmarks.capacity.reality import compare
from benchmarks.capacity.simulation import Load, drawn, recalled
from benchmarks.measure import OURS
from benchmarks.report import RESULTS
from tests.support.postgres import PostgresServer

WITHIN = 0.06


@pytest.mark.deep
def test_simulation_recalls_what_a_real_process_recalls(postgres_server: PostgresServer) -> None:
    for compared in compare(postgres_server, requests=5_000):
        assert abs(compared.measured - compared.simulated) < WITHIN, compared


@pytest.mark.deep
def test_lookup_in_company_costs_less_than_one_alone(postgres_server: PostgresServer) -> None:
    costs = measure(postgres_server, requests=1_000, rounds=3)
    assert [len(figure.rounds) for figure in vars(costs).values()] == [3] * 5
    # By the least of the rounds, which other work on the machine disturbs least; it is a factor of four.
    assert min(costs.recalled.rounds) < min(costs.together.rounds) < min(costs.alone.rounds)


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


def costs_on_the_page() -> list[float]:
    """Read the costs: recalled; one at a time, of the process and of PostgreSQL; the same for many at once; server."""
    return [float(row[1]) for row in rows_of("costs")]


def test_cores_on_the_page_follow_from_the_dearer_costs_on_the_page() -> None:
    recalled_cost, asked_cost, database_cost, *together, server = costs_on_the_page()
    assert asked_cost > together[0]
    assert database_cost > together[1]
    for _, _, part, asked, cores, database_cores in rows_of("plan"):
        share = 1 - float(asked) / CHECKS
        assert float(part) == pytest.approx(share, abs=0.006)
        busy = server + share * recalled_cost + (1 - share) * asked_cost
        # As rounded there.
        assert float(cores) == pytest.approx(CHECKS * busy / 1e6 / AT_MOST, abs=0.1)
        assert float(database_cores) == pytest.approx(
            CHECKS * (1 - share) * database_cost / 1e6 / AT_MOST, abs=0.1
        )


def test_each_cost_is_within_its_rounds() -> None:
    for what, median, lowest, highest in rows_of("costs")[:-1]:
        assert float(lowest) <= float(median) <= float(highest), what


def numbers_in(pattern: str) -> list[float]:
    """Find a sentence of the page, whose lines may break anywhere, and read the numbers in it."""
    text = " ".join(PAGE.read_text("utf-8").split())
    found = re.search(pattern, text)
    assert found, f"the page does not say: {pattern}"
    return [float(number.replace(",", "")) for number in found.groups()]


def test_machines_on_the_page_have_the_cores_of_the_plan() -> None:
    plans = rows_of("plan")
    recalled_cost, *_, server = costs_on_the_page()
    machines, cores = numbers_in(r"(\d+) machines with (\d+) cores each for the servers")
    behind_server, more_cores = numbers_in(
        r"for a remembered key on PostgreSQL, ([\d.]+) µs, .*? add (\d+) cores?"
    )
    most = max(float(row[4]) for row in plans)
    [measured] = [
        row["cpu_us"]
        for row in json.loads(RESULTS.read_text("utf-8"))["rows"]
        if (row["operation"], row["database"], row["subject"]) == ("API key, remembered", "postgresql", OURS)
    ]
    assert behind_server == pytest.approx(measured, abs=0.06)
    missing = max(0, behind_server - recalled_cost - server)
    assert more_cores == pytest.approx(CHECKS * missing / 1e6 / AT_MOST, abs=1)
    assert machines * cores >= most + more_cores
    (of_database,) = numbers_in(r"one PostgreSQL server with (\d+) cores")
    assert of_database >= max(float(row[5]) for row in plans)
    (processes,) = numbers_in(r"Each server machine runs (\d+) processes")
    assert machines * processes == PROCESSES
    # Python runs on one core in each process.
    assert cores == processes
    assert most <= PROCESSES


def test_cores_for_the_highest_rounds_on_the_page_follow_from_them() -> None:
    recalled_cost, asked_cost, database_cost = (float(row[3]) for row in rows_of("costs")[:3])
    asked = float(rows_of("plan")[-1][3])
    busy = CHECKS * costs_on_the_page()[-1] + (CHECKS - asked) * recalled_cost + asked * asked_cost
    cores, of_database = numbers_in(
        r"last row of the plan would be (\d+) server cores, .*? and (\d+) of the database"
    )
    assert cores == pytest.approx(busy / 1e6 / AT_MOST, abs=0.6)
    assert of_database == pytest.approx(asked * database_cost / 1e6 / AT_MOST, abs=0.6)


def test_figures_in_the_text_are_those_of_the_tables() -> None:
    (each,) = numbers_in(r"checks per second over (?:\d+) processes, ([\d,]+) for each")
    assert each == pytest.approx(CHECKS / PROCESSES, abs=10)
    assert numbers_in(r"checks per second over (\d+) processes") == [PROCESSES]
    asking = max(1 - float(row[2]) for row in rows_of("plan") if row[:2] == ["0", "60"])
    checks, seconds, share, keys = numbers_in(r"at most ([\d,]+) × (\d+) × ([\d.]+) = ([\d,]+) in a process")
    assert (checks, seconds, share) == (each, 60, pytest.approx(asking, abs=0.006))
    assert keys == pytest.approx(checks * seconds * share, rel=0.02)
    processes, *connections, all_of_them = numbers_in(
        r"(\d+) processes with (\d+) \+ (\d+) connections each, and one that listens for changes, open ([\d,]+)"
    )
    assert processes == PROCESSES
    assert all_of_them == PROCESSES * (sum(connections) + 1)


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
