"""An example host as a process of its own, on a free port and with an empty data folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from czo_auth import Auth, Settings
from czo_auth.deployment import settings_with_local_key
from tests.support.ports import free_port
from tests.support.server import INHERITED
from tests.support.tethered import tethered

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
STOP_SECONDS = 60
PATIENCE_SECONDS = 60
"""How long a request may take: the hosts hash passwords, and the machine may be busy."""


class HostProcess:
    """
    A running example.

    Args:
        command: What follows ``python``; ``{port}`` stands for the port.
        directory: Where data and output go.
        env: Further environment.
        front_page: The path that answers 200 when the example is ready.
    """

    def __init__(
        self,
        command: list[str],
        directory: Path,
        *,
        env: dict[str, str] | None = None,
        front_page: str = "/",
    ) -> None:
        self._front_page = front_page
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = directory / "data"
        self._output = directory / "output.txt"
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._env = {
            **inherited,
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "error",
            "CZO_AUTH_DATA_DIR": str(self.data),
            "CZO_AUTH_PORT": str(self.port),
            "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
            **(env or {}),
        }
        self._command = [sys.executable, *(part.format(port=self.port) for part in command)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = START_SECONDS) -> None:
        """Start and wait for the front page."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                tethered(self._command, signal=signal.SIGTERM),
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self.url + self._front_page, trust_env=False).status_code == 200:
                    return
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the example does not answer\n{self.output()}")

    def stop(self) -> int:
        """End with one SIGINT, as Ctrl-C does; gives the exit status."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End whatever is left; harmless when repeated."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def operator(self) -> Auth:
        """The same deployment, for what is done on the command line. Open it and stop it."""
        return Auth(settings_with_local_key(Settings(data_dir=self.data, rate_limit_enabled=False)))
