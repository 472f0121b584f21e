"""The time of a request to enable two factors is divided completely, and each part of it counts once."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from benchmarks.enabling import BETWEEN, LOOP, TO_SERVER, WORKS, Enabled, Notes
from benchmarks.hosts.timed_serve import COMMITS, DRAWS, HASHES, READS, WRITES


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    works = [(12, 14, READS), (16, 26, HASHES), (28, 36, WRITES), (33, 36, COMMITS), (38, 44, DRAWS)]
    turns = [(0, 5, 5, 0), (8, 12, 4, 1), (26, 27, 1, 1), (40, 43, 3, 1), (47, 60, 9, 1)]
    (tmp_path / "works").write_bytes(array("q", [number for work in works for number in work]).tobytes())
    (tmp_path / "turns").write_bytes(array("q", [number for turn in turns for number in turn]).tobytes())
    return Notes(tmp_path)


def test_request_is_divided_by_the_thread_that_works_for_it(notes: Notes) -> None:
    enabled = Enabled(sent=4, handed_over=10, answered=50, received=53, password_hash=9)
    parts = notes.parts_of(enabled)
    assert sum(parts.values()) == enabled.waited == 49
    assert parts == {
        TO_SERVER: 6 + 3,
        WORKS[READS]: 2,
        WORKS[HASHES]: 10,
        WORKS[WRITES]: 5,
        WORKS[COMMITS]: 3,
        WORKS[DRAWS]: 6,
        # What it does while a code is drawn is not waited for.
        WORKS[LOOP]: 2 + 1 + 3,
        BETWEEN: 2 + 1 + 2 + 3,
    }
