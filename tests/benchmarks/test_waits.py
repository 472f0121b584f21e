"""What a server and a client noted about a key check is divided completely, each moment once."""

from __future__ import annotations

import json
from array import array
from pathlib import Path

import pytest

from benchmarks.waits import Check, Notes

TIMERS, LISTS = "", "GET /lists"
IDLE = "is between two callbacks"


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    (tmp_path / "names.json").write_text(json.dumps([TIMERS, LISTS]))
    turns = [(0, 10, 10, 0), (12, 20, 4, 1), (30, 40, 10, 1), (60, 70, 10, 1)]
    (tmp_path / "turns").write_bytes(array("q", [number for turn in turns for number in turn]).tobytes())
    (tmp_path / "checks").write_bytes(array("q", [7, 15, 31, 39]).tobytes())
    (tmp_path / "collections").write_bytes(array("q", [0, 2, 13, 18, 44, 60]).tobytes())
    return Notes(tmp_path)


def test_check_is_divided_by_place_and_by_what_the_loop_does(notes: Notes) -> None:
    handed_over, called, answered = notes.checks[7]
    check = Check(sent=5, handed_over=handed_over, called=called, answered=answered, received=45)
    parts = notes.parts_of(check)
    assert sum(parts.values()) == check.waited == 40
    assert {part: length for part, length in parts.items() if length} == {
        ("sent, and not handed to the loop", "runs results of threads, timers"): 5,
        ("sent, and not handed to the loop", "runs GET /lists"): 1,
        ("sent, and not handed to the loop", "wants to run GET /lists: no core, or not the lock"): 2,
        ("sent, and not handed to the loop", IDLE): 2,
        ("handed to the loop, and not begun", "runs GET /lists"): 3,
        ("handed to the loop, and not begun", "wants to run GET /lists: no core, or not the lock"): 3,
        ("handed to the loop, and not begun", IDLE): 10,
        ("begun, and not answered", "runs GET /lists"): 8,
        ("on the way back", "runs GET /lists"): 1,
        ("on the way back", IDLE): 5,
    }
    assert notes.collected_during(check) == 5 + 1
