"""The PostgreSQL that the tests bring along keeps its promises."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support import postgres
from tests.support.postgres import PostgresServer
from tests.support.processes import still_alive, with_pids

pytestmark = pytest.mark.deep

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


async def value_of(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.parametrize("over", ["tcp", "socket"])
async def test_asyncpg_connects(server: PostgresServer, over: str) -> None:
    name = server.create_database()
    assert await value_of(server.url(name, over=over), "SELECT current_database()") == name


async def test_wrong_password_is_refused(server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url().replace(server.password, "x"))


async def test_databases_are_separate_and_droppable_while_connected(server: PostgresServer) -> None:
    one, other = server.create_database(), server.create_database()
    server.execute("CREATE TABLE things ()", database=one)
    assert await value_of(server.url(other), "SELECT to_regclass('things')") is None
    connection = await asyncpg.connect(server.url(one))
    server.drop_database(one)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()


def test_template_is_prepared_once_and_copied(server: PostgresServer) -> None:
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        server.execute("CREATE TABLE things AS SELECT 7 AS id", database="prepared")

    for _ in range(2):
        copy = server.create_database(template=server.template("prepared", prepare))
        assert server.execute("SELECT id FROM things", database=copy) == "7"
    assert prepared == [server.url("prepared")]


async def test_restart_keeps_address_and_rows(server: PostgresServer) -> None:
    name = server.create_database()
    server.execute("CREATE TABLE things AS SELECT 7 AS id", database=name)
    url = server.url(name)
    connection = await asyncpg.connect(url)
    server.restart()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()
    assert await value_of(url, "SELECT id FROM things") == 7


async def test_paused_server_hangs_until_it_is_resumed(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.url())
    server.pause()
    try:
        question = asyncio.ensure_future(connection.fetchval("SELECT 1"))
        done, _ = await asyncio.wait([question], timeout=0.2)
        assert not done
    finally:
        server.resume()
    assert await asyncio.wait_for(question, 60) == 1
    await connection.close()


def test_sql_that_fails_says_why(server: PostgresServer) -> None:
    with pytest.raises(RuntimeError, match='relation "nothing" does not exist'):
        server.execute("SELECT * FROM nothing")


@pytest.mark.parametrize("paused", [False, True])
def test_nothing_is_left_behind(*, paused: bool) -> None:
    server = PostgresServer()
    server.start()
    processes = server.processes
    assert len(processes) > 1
    if paused:
        server.pause()
    server.stop()
    assert not still_alive(processes, seconds=0)
    assert not server.directory.exists()
    server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_server_ends_when_the_test_run_is_killed() -> None:
    script = (
        "from tests.support.postgres import PostgresServer\n"
        "import os, signal\n"
        "server = PostgresServer()\n"
        "server.start()\n"
        "print(server.directory, *(process.pid for process in server.processes), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    directory, *pids = ran.stdout.split()
    try:
        assert not still_alive(with_pids(map(int, pids)), seconds=10)
    finally:
        shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another user")
def test_root_gives_up_its_rights(server: PostgresServer) -> None:
    assert all(process.uids().effective != 0 for process in server.processes)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another user")
def test_binaries_in_a_closed_folder_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_open_to_all", lambda path: False)
    with PostgresServer() as server:
        assert server.execute("SELECT 1") == "1"
        assert Path(server.processes[0].exe()).is_relative_to(server.directory)


def test_database_url_is_new_and_empty(database_url: str) -> None:
    kind, _, rest = database_url.partition("://")
    if kind == "sqlite":
        assert not Path(rest.removeprefix("/")).exists()
    else:
        assert asyncio.run(value_of(database_url, "SELECT count(*) FROM pg_stat_user_tables")) == 0
