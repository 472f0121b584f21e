"""The real server as a process of its own, for tests that look at it from outside."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.support.forked_server import ForkedServer
from tests.support.ports import free_port
from tests.support.processes import is_alive, still_alive
from tests.support.tethered import tethered

# For a busy machine: on a quiet one both take a second.
START_SECONDS = 120
STOP_SECONDS = 60
# What a process needs to run at all; no setting of the developer's own reaches the server under test.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Without -P its siblings would hide packages of the same names.
_WEAKLY = ("-P", str(Path(__file__).with_name("weak_hashes.py")))


class RunningServer:
    """
    `czo-auth serve` on a free port of 127.0.0.1, with its data in a folder of the test.

    It may be started again after `stop` or `kill`: port, data and settings stay the same.

    Args:
        directory: Where the data folder and the output file go.
        env: Settings by their documented names (``AUTH_ENCRYPTION_KEY``, ``CZO_AUTH_*``); they win over the rest.
        database_url: Left out: the server's own default, a file in its data folder.
        workers: Worker processes.
        arguments: More arguments for ``serve``.
        weak_hashes: Hash at the least cost, where many people sign up and hashing is not the subject.
        program: What to run instead of ``czo-auth``, with the same arguments.
    """

    def __init__(
        self,
        directory: Path,
        *,
        env: Mapping[str, str] | None = None,
        database_url: str | None = None,
        workers: int = 1,
        arguments: tuple[str, ...] = (),
        weak_hashes: bool = False,
        program: Sequence[str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_directory = directory / "data"
        self.output_file = directory / "output.txt"
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.env |= {"PYTHONUNBUFFERED": "1", "CZO_AUTH_DATA_DIR": str(self.data_directory)}
        if database_url is not None:
            self.env["CZO_AUTH_DATABASE_URL"] = database_url
        self.env |= env or {}
        self._words = [
            *("serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", str(workers)),
            *arguments,
        ]
        self._weak_hashes = weak_hashes
        self._program = None if program is None else list(program)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | ForkedServer | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def processes(self) -> list[psutil.Process]:
        """List the processes of the server's group that are alive, workers included."""
        return [] if self._process is None else _alive_in_group(self._process.pid)

    @property
    def workers(self) -> list[psutil.Process]:
        """List the processes that serve requests, in the order of their numbers."""
        processes = self.processes
        pids = {process.pid for process in processes}
        return sorted((each for each in processes if each.ppid() in pids), key=lambda each: each.pid)

    def start(self) -> None:
        """Start and wait until the server is up (`/healthz`) and ready (`/readyz`), or fail with its output."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait for what was launched, as `start` does."""
        try:
            deadline = time.monotonic() + START_SECONDS
            self._wait_for("/healthz", deadline)
            self._wait_for("/readyz", deadline)
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Start without waiting, for a test in which the start fails or is slow."""
        assert not self.running, "the server runs already"
        self._directory.mkdir(parents=True, exist_ok=True)
        with self.output_file.open("ab") as output:
            if self._may_be_forked():
                self._process = ForkedServer(
                    self._words,
                    env=self.env,
                    folder=self._directory,
                    output=output.fileno(),
                    weak_hashes=self._weak_hashes,
                )
                return
            program = self._program or [
                sys.executable,
                *(_WEAKLY if self._weak_hashes else ("-m", "czo_auth")),
            ]
            self._process = subprocess.Popen(
                tethered([*program, *self._words], signal=signal.SIGTERM),
                cwd=self._directory,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _may_be_forked(self) -> bool:
        """Say whether the server is the same when it is forked: what is no setting may be read when Python starts."""
        known = all(name in INHERITED or name == "PYTHONUNBUFFERED" or "AUTH_" in name for name in self.env)
        return sys.platform == "linux" and self._program is None and known

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until the server ends by itself; gives its exit status."""
        assert self._process is not None, "the server was never started"
        return self._process.wait(seconds)

    def stop(self) -> None:
        """
        Ask with one SIGINT, as Ctrl-C does; harmless when repeated.

        Raises:
            AssertionError: It did not end in time, not with status 0, or left a process behind.
        """
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end {STOP_SECONDS} s after SIGINT\n{self.output()}") from None
        # On a busy machine a worker is a moment behind its supervisor.
        left = still_alive(_alive_in_group(process.pid), seconds=10)
        self.kill()
        assert not left, f"the server left processes behind: {left}\n{self.output()}"
        assert status == 0, f"exit status {status} after SIGINT\n{self.output()}"

    def kill(self) -> None:
        """End every process of the server at once (SIGKILL), as a power cut would; harmless when repeated."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)

    def output(self) -> str:
        """Give what the server wrote to stdout and stderr so far, over all its starts."""
        return self.output_file.read_text(errors="replace") if self.output_file.exists() else ""

    def _wait_for(self, path: str, deadline: float) -> None:
        answer: object = "no answer"
        while time.monotonic() < deadline:
            if not self.running:
                raise AssertionError(f"the server ended with status {self.wait()}\n{self.output()}")
            answer = self._status_of(path)
            if answer == 200:
                return
            time.sleep(0.02)
        raise AssertionError(f"{path} still answers {answer} after {START_SECONDS} s\n{self.output()}")

    def _status_of(self, path: str) -> int | str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()


def _alive_in_group(group: int) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _group_of(process) == group and is_alive(process)]


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None
