"""The demo's server: a separate process with a temporary data folder, and commands on the same data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 15
_COMMAND_SECONDS: Final = 60
_READY: Final = re.compile(r"is ready on (http://\S+)")

# Settings that would reach outside the demo: a real database, files, mail server or front end.
_NOT_OURS: Final = (
    *("CZO_AUTH_DATABASE_URL", "CZO_AUTH_EVENTS_FILE", "CZO_AUTH_SMTP_URL", "CZO_AUTH_RATE_LIMIT_URL"),
    *("CZO_AUTH_DATABASE_URL_FILE", "CZO_AUTH_SMTP_URL_FILE", "CZO_AUTH_RATE_LIMIT_URL_FILE"),
    *("CZO_AUTH_APP", "CZO_AUTH_ACTOR_TYPES", "CZO_AUTH_ACTOR_TYPES_FILE"),
    *("CZO_AUTH_BASE_URL", "CZO_AUTH_PWNED_PASSWORDS_URL", "CZO_AUTH_REQUIRE_EMAIL_VERIFICATION"),
    "CZO_AUTH_AUTO_MIGRATE",
)


class ServerFailed(Exception):
    """The server did not start, or a command failed; *code* is the exit code to end with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class DemoServer:
    """
    One server and its folder.

    Args:
        folder: Empty; the caller removes it.
    """

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._output = folder / "output.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._env = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        self._env |= {"CZO_AUTH_DATA_DIR": str(self._data), "PYTHONUNBUFFERED": "1"}

    def start(self) -> str:
        """
        Start the server on a free port and wait until it answers; return its address.

        Raises:
            ServerFailed: It did not start.
        """
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - this program itself
                [*_PROGRAM, "serve", "--host", "127.0.0.1", "--port", "0"],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            ended = self._process.poll()
            if found := _READY.search(self.output()):
                return found[1]
            if ended is not None:
                raise ServerFailed(self.output().strip() or "the server stopped at once", ended or 1)
            time.sleep(0.02)
        raise ServerFailed(f"the server did not answer within {_START_SECONDS} s", 1)

    def stop(self) -> None:
        """
        End the server, in any state.

        Raises:
            ServerFailed: It did not end by itself, or not with status 0.
        """
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ServerFailed("the server did not stop when asked", 1) from None
        if status != 0:
            raise ServerFailed(f"the server stopped with status {status}", 1)

    def command(self, *words: str, stdin: str = "") -> str:
        """
        Run a command of the command line on the same data; return what it printed.

        Raises:
            ServerFailed: It failed.
        """
        done = subprocess.run(  # noqa: S603 - this program itself
            [*_PROGRAM, *words],
            env=self._env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise ServerFailed(
                f"czo-auth {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}", 1
            )
        return done.stdout

    def output(self) -> str:
        """Return what the server wrote so far."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""


_PROGRAM: Final = (sys.executable, "-m", "czo_auth")
