"""A real RabbitMQ from the system's packages, where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.ports import free_port
from tests.support.program import Startable
from tests.support.tethered import tethered

SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_SECONDS = 90


def is_installed() -> bool:
    """Whether there is one to start."""
    return SERVER.exists() and shutil.which("epmd") is not None


class RabbitServer(Startable):
    """
    One node on a port of 127.0.0.1, with a port mapper of its own. Port and data stay the same over `stop` and `start`.

    Args:
        directory: Where its data and its output go.
        settings: Lines of its configuration; they count from the next `start` on.
    """

    def __init__(self, directory: Path, *, settings: Sequence[str] = ()) -> None:
        self.settings = settings
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self._directory = directory
        self._mapper_port = free_port()
        self._distribution_port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start, and return when it answers."""
        folder = self._directory
        lines = [f"listeners.tcp.default = 127.0.0.1:{self.port}", *self.settings]
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (folder / "plugins").write_text("[].\n")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false +S 1",
        }
        with (folder / "rabbitmq.txt").open("ab") as output:
            for command in (["/usr/bin/epmd"], [str(SERVER)]):
                self._processes.append(
                    subprocess.Popen(
                        tethered(command, signal=signal.SIGKILL),
                        cwd=folder,
                        env=env,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                    )
                )
        self._wait()

    def stop(self) -> None:
        """End it at once; harmless when repeated."""
        while self._processes:
            process = self._processes.pop()
            # Erlang's own children are in its session.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it take bytes and do nothing with them, as long as the block lasts."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def empty(self) -> None:
        """Lose everything, as a broker does whose disk was lost. Only while it is stopped."""
        assert not self._processes
        shutil.rmtree(self._directory / "data")

    def _signal(self, number: int) -> None:
        for process in self._processes:
            os.killpg(process.pid, number)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    connection.sendall(b"AMQP\x00\x00\x09\x01")
                    if connection.recv(1) == b"\x01":
                        return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"RabbitMQ does not start: {(self._directory / 'rabbitmq.txt').read_text()}")
