"""The process that opens and migrates the database for ``czo-auth serve``: what it leaves behind, and how it ends."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psutil
import pytest

from czo_auth.cli.start_check import FORKS
from czo_auth.crypto.sealing import new_key_text
from czo_auth.settings import DATABASE_FILE
from tests.cli.shell import PROGRAM, Shell
from tests.support.ports import free_port
from tests.support.processes import still_alive
from tests.support.tethered import tethered

pytestmark = [
    pytest.mark.skipif(not FORKS, reason="there, the database is opened in the process itself"),
    pytest.mark.deep,
]

UNUSED = ("alembic", "graphql", "httpx", "mako", "pygments", "rich", "strawberry")
"""What nothing needs after the migration, or before the first request that uses it."""

MODULES = """
import json, os, signal, sys, threading

from czo_auth.cli.command import chosen_settings, reporting

asked, ask = os.pipe()
answered, answer = os.pipe()

def modules():
    return [name for name in list(sys.modules) if "." not in name]

def answer_when_asked():
    os.read(asked, 1)
    os.write(answer, json.dumps(modules()).encode() + b"\\n")

def when_ready(settings):
    # The process that opened the database has ended: only the worker reads this.
    os.write(ask, b"?")
    with os.fdopen(answered) as file:
        worker = json.loads(file.readline())
    print(json.dumps({"parent": modules(), "worker": worker}), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

with reporting():
    settings = chosen_settings(creates=True, port=int(sys.argv[1]))
    from czo_auth.cli.processes import serve
    os.register_at_fork(after_in_child=threading.Thread(target=answer_when_asked, daemon=True).start)
    serve(settings, when_ready=when_ready)
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_neither_parent_nor_worker_keeps_what_only_migrations_need(
    fresh: Shell, database: str, request: pytest.FixtureRequest
) -> None:
    env = fresh.env
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
        env = env | {"AUTH_ENCRYPTION_KEY": new_key_text(), "CZO_AUTH_DATABASE_URL": url}
    command = [sys.executable, "-W", "error", "-c", MODULES, str(free_port())]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for process in ("parent", "worker"):
        assert "sqlalchemy" in found[process]
        assert [name for name in UNUSED if name in found[process]] == []


@contextmanager
def migrating(fresh: Shell) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Start a server that waits for a lock on its new database; gives it, and its child process that waits."""
    fresh.data.mkdir(mode=0o700)
    with closing(sqlite3.connect(fresh.data / DATABASE_FILE, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen(
            tethered([*PROGRAM, "serve", "--port", "0"], signal=signal.SIGTERM),
            env=fresh.env | {"AUTH_ENCRYPTION_KEY": new_key_text()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        waiting: list[psutil.Process] = []
        try:
            waiting.append(_waiting_child(process))
            yield process, waiting[0]
        finally:
            # The child too: it holds the pipe open.
            for each in (process, *waiting):
                with suppress(ProcessLookupError, psutil.NoSuchProcess):
                    each.kill()
            process.communicate()


def _waiting_child(process: subprocess.Popen[str]) -> psutil.Process:
    """Wait until the child process has the database open."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children():
            if any(file.path.endswith(DATABASE_FILE) for file in child.open_files()):
                return child
        time.sleep(0.01)
    raise AssertionError("no child process opened the database")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.deep), signal.SIGKILL]
)
def test_process_that_migrates_ends_with_its_parent(fresh: Shell, number: signal.Signals) -> None:
    with migrating(fresh) as (process, child):
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == (-number if number == signal.SIGKILL else 0), said
        assert said == ""
        assert still_alive([child], seconds=30) == []


def test_process_that_is_killed_while_it_migrates_is_named(fresh: Shell) -> None:
    with migrating(fresh) as (process, child):
        child.kill()
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said.splitlines() == [
            "czo-auth: The process that opens the database was ended by SIGKILL: start the server again."
        ]
