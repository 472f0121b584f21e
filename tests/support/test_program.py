"""A program that never answers is not left running."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from tests.support.processes import still_alive, with_pids
from tests.support.program import Program


class Silent(Program):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[psutil.Process] = []

    def start(self) -> None:
        self._run([sys.executable, "-c", "import time; time.sleep(600)"], output=self.folder / "silent.txt")
        assert self._process is not None
        self.started = with_pids([self._process.pid])
        self._wait(lambda: False, seconds=0.1, failure=lambda: "it does not start")


def test_program_that_does_not_answer_is_ended(tmp_path: Path) -> None:
    program = Silent(tmp_path)
    with pytest.raises(RuntimeError, match="does not start"), program:
        pytest.fail("the block began")
    assert len(program.started) == 1
    assert still_alive(program.started, seconds=30) == []
