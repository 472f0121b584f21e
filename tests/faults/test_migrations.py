"""
S32: `czo-auth migrate` killed at random moments, and several servers that start together on an empty database.

``FAULT_MIGRATIONS`` says how often it is killed on each database. The next one to start completes it, and the host's
own tables and Alembic version beside ours stay as they were.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from czo_auth.storage import migrations
from tests.contract.database import is_sqlite, sql
from tests.migrations.databases import execute, fetch_rows, table_names
from tests.support.server import INHERITED, RunningServer
from tests.support.settings import KEY

pytestmark = pytest.mark.deep

KILLS = int(os.environ.get("FAULT_MIGRATIONS", "2"))
STARTING_SECONDS = 0.6
"""About what a process needs before it does anything; the moments lie around the work itself."""
SERVERS = 3

HOST = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
    "INSERT INTO alembic_version VALUES ('host42')",
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
    "INSERT INTO users VALUES (1, 'Ada')",
)


def migrating(url: str) -> subprocess.Popen[bytes]:
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    env |= {"AUTH_ENCRYPTION_KEY": KEY, "CZO_AUTH_DATABASE_URL": url}
    command = [sys.executable, "-m", "czo_auth", "migrate"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=subprocess.STDOUT)


def completed(url: str) -> float:
    """Let one migrate to the end; gives how long that took."""
    begun = time.monotonic()
    process = migrating(url)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output.decode()
    return time.monotonic() - begun


async def host_is_untouched(url: str) -> None:
    assert await fetch_rows(url, "SELECT version_num FROM alembic_version") == [("host42",)]
    assert await fetch_rows(url, "SELECT id, name FROM users") == [(1, "Ada")]


async def make_empty(url: str) -> None:
    """Take away what we made, so that the next one finds the host's tables only."""
    cascade = "" if is_sqlite(url) else " CASCADE"
    # In order, because a full-text table of SQLite comes before those that it takes along.
    for name in sorted(await table_names(url) - {"alembic_version", "users"}):
        # A connection that does not ask for them has no foreign keys in SQLite.
        await execute(url, f"DROP TABLE IF EXISTS {name}{cascade}")
    if not is_sqlite(url):
        for (function,) in await fetch_rows(
            url, "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'czo_auth_%'"
        ):
            await execute(url, f"DROP FUNCTION {function} CASCADE")


async def test_killed_migration_is_completed_by_the_next_one(database_url: str) -> None:
    await execute(database_url, *HOST)
    whole = completed(database_url)
    ours = await table_names(database_url)
    halfway = 0
    for _ in range(KILLS):
        await make_empty(database_url)
        process = migrating(database_url)
        time.sleep(random.uniform(min(STARTING_SECONDS, whole / 2), whole))  # noqa: ASYNC251 - nothing else runs
        halfway += process.poll() is None
        process.kill()
        process.communicate()
        # All of it or nothing: one transaction.
        assert await table_names(database_url) in (ours, {"alembic_version", "users"})
        completed(database_url)
        assert await table_names(database_url) == ours
        assert await fetch_rows(database_url, "SELECT version_num FROM czo_auth_version") == [
            (migrations.HEAD,)
        ]
        await host_is_untouched(database_url)
    if is_sqlite(database_url):
        assert await sql(database_url, "PRAGMA integrity_check") == [("ok",)]
    assert halfway > 0 or KILLS < 3


async def test_servers_that_start_together_migrate_once_and_all_serve(
    database_url: str, tmp_path: Path
) -> None:
    await execute(database_url, *HOST)
    env = {"AUTH_ENCRYPTION_KEY": KEY}
    servers = [
        RunningServer(tmp_path / str(number), database_url=database_url, env=env) for number in range(SERVERS)
    ]
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_until_ready()
        assert await fetch_rows(database_url, "SELECT version_num FROM czo_auth_version") == [
            (migrations.HEAD,)
        ]
        # And one signing key, which all of them found or made.
        assert await sql(database_url, "SELECT count(*) FROM {}signing_keys") == [(1,)]
        await host_is_untouched(database_url)
        for server in servers:
            server.stop()
            assert "Traceback" not in server.output()
    finally:
        for server in servers:
            server.kill()
