"""Servers under measurement: start, readiness, CPU time and end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cpu import seconds_of_tree, tree
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.tethered import tethered

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60
STOP_SECONDS = 15
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass
class Subject:
    """
    One server with one way of authenticating.

    Args:
        name: As shown in the table.
        command: Starts it; ``{port}`` is replaced.
        tokens: File with a credential a line; without one nothing is sent.
        path: Path of the requests.
        postgres: The database server whose CPU time counts as well.
        asker: A key that asks about the credentials, where that is what is measured.
        root: The files that it is served from: another commit's, where that is measured.
        is_peer: Not ours: when it fails it is left out, and the rest goes on.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    tokens: Path | None = None
    path: str = "/"
    postgres: PostgresServer | None = None
    asker: str | None = None
    root: Path = ROOT
    is_peer: bool = False
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, log: Path) -> None:
        """Start, and wait until the port takes connections."""
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        env |= {"PYTHONPATH": str(self.root), "BENCH_PORT": str(self.port), **self.env}
        command = [part.replace("{port}", str(self.port)) for part in self.command]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                tethered(command, signal=signal.SIGTERM),
                cwd=self.root,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} does not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server and whatever it started; harmless when repeated."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def cpu_seconds(self) -> float:
        """Add up user and system time of the server's processes, and of its database server's, ended ones included."""
        used = self.server_cpu_seconds()
        return used if self.postgres is None else used + seconds_of_tree(self.postgres.pid)

    def server_cpu_seconds(self) -> float:
        """Add up user and system time of the server's processes alone, ended ones included."""
        return seconds_of_tree(self.pid)

    def event_loop_seconds(self) -> float:
        """Return the CPU time of the workers' first threads, which run the event loops; others hash and store."""
        return sum(
            thread.user_time + thread.system_time
            for process in tree(self.pid)
            for thread in process.threads()
            if thread.id == process.pid
        )

    def resident_megabytes(self) -> float:
        """Return the resident memory of the largest process: a worker."""
        return max(process.memory_info().rss for process in tree(self.pid)) / 1e6


@contextlib.contextmanager
def running(subjects: Sequence[Subject], directory: Path) -> Iterator[list[Subject]]:
    """Run all *subjects*; what does not start is reported and left out. All end afterwards."""
    up: list[Subject] = []
    try:
        for subject in subjects:
            try:
                subject.start(directory / f"{subject.port}.log")
                up.append(subject)
            except RuntimeError as error:
                print(error, file=sys.stderr)
        yield up
    finally:
        for subject in up:
            subject.stop()


def granian(application: str, *, python: Path = Path(sys.executable)) -> list[str]:
    """Serve an ASGI application with one worker, as ``czo-auth serve`` does."""
    options = "--interface asgi --host 127.0.0.1 --port {port} --workers 1 --no-ws --no-log"
    return [str(python), "-m", "granian", *options.split(), application]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
