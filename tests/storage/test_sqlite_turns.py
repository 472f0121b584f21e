"""Several processes write to one file without a pause: each gets its turn."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from czo_auth.storage.sqlite_file import database_path

ROOT = Path(__file__).parents[2]
PROCESSES = 4
WRITES = 300
"""How many each makes at least: on a busy machine a time would end with so few that chance decides."""


@pytest.fixture
def url_on_disk(migrated_sqlite_url: str) -> Iterator[str]:
    """A migrated file on the disk: in memory a commit takes no time, and one process takes the lock again and again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database.sqlite3"
        shutil.copy(database_path(migrated_sqlite_url), path)
        yield f"sqlite:///{path}"


@pytest.mark.deep
def test_busy_processes_share_the_file_fairly(url_on_disk: str) -> None:
    """SQLite's own waiting let one write six times as often as another, which then gave up after five seconds."""
    command = [sys.executable, "-W", "error", "-m", "tests.storage.hog", url_on_disk, str(WRITES)]
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
