"""The page on threats names what there is: requirements, tests, and every file of attacks and faults."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.fuzz.report import COMMAND, PARTS, rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/threats.md").read_text("utf-8")
NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_every_requirement_has_a_line_with_tests() -> None:
    for number in range(1, 36):
        line = re.search(rf"^\| S{number} \|.*$", PAGE, re.MULTILINE)
        assert line is not None, f"S{number}"
        assert "::" in line[0], f"S{number} names no test"


@pytest.mark.parametrize(("file", "name"), NAMED_TESTS, ids=lambda value: value)
def test_named_test_exists(file: str, name: str) -> None:
    source = (ROOT / file).read_text("utf-8")
    assert re.search(rf"^(?:async )?def {name}\(", source, re.MULTILINE), f"{file} has no {name}"


@pytest.mark.parametrize("folder", ["attacks", "faults"])
def test_every_file_is_named(folder: str) -> None:
    for path in (ROOT / "tests" / folder).glob("test_*.py"):
        assert f"tests/{folder}/{path.name}" in PAGE, path.name


def test_figures_of_the_long_run_are_the_latest() -> None:
    told = json.loads((ROOT / "tests/fuzz/latest.json").read_text("utf-8"))
    assert set(told) == set(PARTS)
    for row in rows(told):
        assert row in PAGE.splitlines()
    assert PAGE.count(COMMAND) == len(rows(told))


def test_requirements_of_asvs_stand_once_and_with_a_state() -> None:
    rows = re.findall(r"^\| V(\d+\.\d+\.\d+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert len(rows) == len({number for number, _ in rows}) > 80
    assert {state for _, state in rows} <= {"met", "partly", "not met", "host", "n/a"}
