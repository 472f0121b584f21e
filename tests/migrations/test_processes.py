"""Migrations while processes start together, and while one is killed (S32)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from czo_auth.storage import migrations, open_storage
from czo_auth.storage.migrate import current_revision, upgrade
from tests.migrations.databases import fetch_rows, own_tables, table_names
from tests.support.rows import Rows

ROOT = Path(__file__).parents[2]

STARTING = """
import asyncio, sys
from czo_auth.storage import open_storage
from czo_auth.storage.migrate import is_current, upgrade

async def main(url):
    print("ready", flush=True)
    sys.stdin.readline()
    await upgrade(url)
    assert await is_current(url)
    storage = open_storage(url)
    await storage.start()
    await storage.ping()
    await storage.close()

asyncio.run(main(sys.argv[1]))
"""

HALFWAY = """
import sys, time
from alembic import op
from czo_auth.storage import fresh_schema
from czo_auth.storage.migrate import upgrade_blocking

def stay(*args, **options):
    print("halfway", flush=True)
    time.sleep(600)

def some_and_stay(prefix, script=fresh_schema.statements):
    for number, statement in enumerate(script(prefix)):
        if number == 20:
            stay()
        yield statement

op.create_index = stay
fresh_schema.statements = some_and_stay
upgrade_blocking(sys.argv[1])
"""


def start(code: str, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", code, url]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# Each of them imports everything: the second one shows that they take turns.
@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.deep)])
async def test_processes_that_start_together_migrate_once(database_url: str, processes: int) -> None:
    started = [start(STARTING, database_url) for _ in range(processes)]
    try:
        assert [line(process) for process in started] == ["ready"] * processes
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait(240) for process in started] == [0] * processes
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert await fetch_rows(database_url, "SELECT version_num FROM czo_auth_version") == [(migrations.HEAD,)]


@pytest.mark.deep
async def test_killed_migration_leaves_nothing_and_the_next_start_completes_it(database_url: str) -> None:
    process = start(HALFWAY, database_url)
    try:
        assert line(process) == "halfway"
        process.kill()
    finally:
        process.kill()
        process.communicate()
    assert await current_revision(database_url) is None
    assert await table_names(database_url) == set()
    # A lock that the killed process left would hold it until this is over.
    async with asyncio.timeout(60):
        await upgrade(database_url)
    assert await table_names(database_url) == own_tables(database_url)
    storage = open_storage(database_url)
    await Rows(storage).user()
    await storage.close()


# That the lock of a killed process is free, the test above shows too.
@pytest.mark.deep
async def test_process_that_waits_for_one_that_is_killed_does_the_work(database_url: str) -> None:
    process = start(HALFWAY, database_url)
    waiting = None
    try:
        assert line(process) == "halfway"
        waiting = start(STARTING, database_url)
        assert line(waiting) == "ready"
        assert waiting.stdin is not None
        waiting.stdin.write("go\n")
        waiting.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.7)
        process.kill()
        assert waiting.wait(120) == 0
    finally:
        for started in filter(None, (process, waiting)):
            started.kill()
            started.communicate()
    assert await current_revision(database_url) == migrations.HEAD
