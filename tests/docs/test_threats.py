"""The page on threats names what there is: requirements, tests, and every file of attacks and faults."""

from __future__ import annotations

import itertools
import json
import re
from operator import itemgetter
from pathlib import Path

import pytest

from tests.contract.database import TABLES
from tests.fuzz.report import COMMAND, PARTS, rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/threats.md").read_text("utf-8")
GROWING = "What strangers and customers can make grow"
NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_every_requirement_has_a_line_with_tests() -> None:
    for number in range(1, 45):
        line = re.search(rf"^\| S{number} \|.*$", PAGE, re.MULTILINE)
        assert line is not None, f"S{number}"
        assert "::" in line[0], f"S{number} names no test"


def test_named_tests_exist() -> None:
    missing = []
    for file, named in itertools.groupby(NAMED_TESTS, key=itemgetter(0)):
        source = (ROOT / file).read_text("utf-8")
        defined = set(re.findall(r"^(?:async )?def (\w+)\(", source, re.MULTILINE))
        missing += [f"{file}::{name}" for _, name in named if name not in defined]
    assert missing == []


def _section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_table_is_said_to_have_a_bound() -> None:
    rows = [row.split(" | ") for row in re.findall(r"^\| .* \|$", _section(GROWING), re.MULTILINE)]
    named = {table: cells for cells in rows for table in re.findall(r"`(\w+)`", cells[0])}
    assert set(named) == set(TABLES)
    for table, cells in named.items():
        _, _, bound, goes, filled_by = cells
        assert bound.strip(), table
        assert goes.strip(), table
        assert "::" in filled_by, table


@pytest.mark.parametrize("fault", [f"F{number}" for number in (*range(1, 35), 37)])
def test_every_fault_of_the_reviews_has_a_line_with_what_holds_it_and_a_test(fault: str) -> None:
    lines = re.findall(rf"^\| {fault} \| (.*) \|$", _section("What reviews found"), re.MULTILINE)
    assert lines
    for line in lines:
        was, holds, tests = line.split(" | ")
        assert was
        assert holds
        assert "::" in tests


@pytest.mark.parametrize("folder", ["attacks", "faults"])
def test_every_file_is_named(folder: str) -> None:
    for path in (ROOT / "tests" / folder).glob("test_*.py"):
        assert f"tests/{folder}/{path.name}" in PAGE, path.name


def test_figures_of_the_long_run_are_the_latest() -> None:
    reported = json.loads((ROOT / "tests/fuzz/latest.json").read_text("utf-8"))
    assert set(reported) == set(PARTS)
    for row in rows(reported):
        assert row in PAGE.splitlines()
    assert PAGE.count(COMMAND) == len(rows(reported))


def test_each_asvs_requirement_is_listed_once_with_a_state() -> None:
    rows = re.findall(r"^\| V(\d+\.\d+\.\d+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert len(rows) == len({number for number, _ in rows}) > 80
    assert {state for _, state in rows} <= {"met", "partly", "not met", "host", "n/a"}
