"""A program that a test starts and ends: the base of the servers beside this file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.tethered import tethered


class Startable(ABC):
    """What starts at the beginning of a block and stops at its end, also when it starts only in part."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start, and return when it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop; harmless when repeated."""


class Program(Startable):
    """One process at a time; `start` and `stop` may be repeated."""

    _process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End it at once; harmless when repeated."""
        self._kill()

    def _run(
        self,
        arguments: Sequence[str],
        *,
        output: Path,
        ended_by: signal.Signals = signal.SIGKILL,
        uid: int = -1,
        gid: int = -1,
    ) -> None:
        """Start the process in a session of its own; it ends with the test."""
        with output.open("ab") as written:
            self._process = subprocess.Popen(
                tethered(list(arguments), signal=ended_by, uid=uid, gid=gid),
                cwd=output.parent,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )

    def _wait(self, answers: Callable[[], bool], *, seconds: float, failure: Callable[[], str]) -> None:
        """
        Wait until *answers* is true; an `OSError` of it means not yet.

        Raises:
            RuntimeError: Not within *seconds*; says *failure*.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if answers():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(failure())

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _terminate(self, *, seconds: float) -> None:
        """Ask the process to end, and kill its whole session if it does not within *seconds*."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def takes_connections(port: int) -> bool:
    """Whether something accepts connections on *port* of 127.0.0.1; raises `OSError` where not."""
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
