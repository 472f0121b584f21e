"""Several processes write to one file without a pause: each gets its turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESSES = 4
WRITES = 300
"""How many each makes at least: on a busy machine a time would end with so few that chance decides."""


@pytest.mark.deep
def test_busy_processes_share_the_file_fairly(migrated_sqlite_url: str) -> None:
    """SQLite's own waiting let one write six times as often as another, which then gave up after five seconds."""
    command = [sys.executable, "-W", "error", "-m", "tests.storage.hog", migrated_sqlite_url, str(WRITES)]
    pipe = subprocess.PIPE
    hogs = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(PROCESSES)]
    try:
        for hog in hogs:
            assert hog.stdout is not None
            assert hog.stdout.readline() == "ready\n"
        for hog in hogs:
            assert hog.stdin is not None
            hog.stdin.write("go\n")
            hog.stdin.flush()
        for hog in hogs:
            assert hog.stdout is not None
            assert hog.stdout.readline() == "done\n"
        written = [int(hog.communicate(timeout=60)[0]) for hog in hogs]
    finally:
        for hog in hogs:
            hog.kill()
            hog.communicate()
    assert min(written) > max(written) / 4, written
