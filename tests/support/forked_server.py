"""
Servers as processes that need not import everything first.

A process that has imported what `czo-auth serve` needs forks one child for each server: the same code in a process
group of its own, without a second of imports. What the interpreter itself reads at its start cannot be chosen here, so
servers that need it (LD_PRELOAD, PYTHON…) are started the long way.

Each server has a parent that only waits for it. If the test process ends, its socket closes, the process that forks
ends, and the kernel ends those parents and the servers (Linux only).

Usage: forked_server.py, with a socket as standard input.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

START_SECONDS = 240
_MAX_LENGTH = 1 << 17
_PR_SET_PDEATHSIG = 1


class ForkedServer:
    """
    A running server, with the part of `subprocess.Popen` that the tests use.

    Args:
        words: The command line after ``czo-auth``.
        weak_hashes: Hash at the least cost.
    """

    def __init__(
        self, words: list[str], *, env: Mapping[str, str], folder: Path, output: int, weak_hashes: bool
    ) -> None:
        self._answers, to_answer = socket.socketpair()
        request = {"words": words, "env": dict(env), "folder": str(folder), "weak_hashes": weak_hashes}
        with to_answer:
            socket.send_fds(_forking(), [json.dumps(request).encode()], [output, to_answer.fileno()])
        # The first one waits for the imports too, which take a minute where the machine does much else.
        self._answers.settimeout(START_SECONDS)
        self._status: int | None = None
        try:
            self.pid = int(self._answers.recv(16))
        except BaseException:
            self._answers.close()
            raise

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self._status is None and select.select([self._answers], [], [], 0)[0]:
            self._read_status()
        return self._status

    def wait(self, timeout: float) -> int:
        """
        Wait until it ends, and return its exit status.

        Raises:
            subprocess.TimeoutExpired: It did not end in time; unit: seconds.
        """
        if self._status is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("czo-auth serve", timeout)
            self._read_status()
        assert self._status is not None
        return self._status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _read_status(self) -> None:
        with self._answers:
            self._status = int(self._answers.recv(16))


@cache
def _forking() -> socket.socket:
    """Start the process that forks, once for the test process; it ends when its socket does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            # Without -P the tests' own packages would hide others of the same names.
            [sys.executable, "-P", __file__],
            stdin=theirs.fileno(),
            env={name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ},
        )

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait(10)

    return ours


# --- the process that forks ------------------------------------------------------------------------------------------
def _fork_for_ever() -> None:
    import czo_auth.__main__
    import czo_auth.app
    import czo_auth.cli.app
    import czo_auth.cli.processes
    import czo_auth.graphql.app
    import czo_auth.storage.migrate
    import czo_auth.storage.postgresql
    import czo_auth.storage.sqlite  # noqa: F401

    # The metrics' folder is looked for when this is imported.
    assert "prometheus_client" not in sys.modules
    gc.collect()
    gc.freeze()
    asking = socket.socket(fileno=0)
    # A parent of a server is not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, fds, _, _ = socket.recv_fds(asking, _MAX_LENGTH, 2)
        if not request:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asking.detach()
            _wait_for_one(json.loads(request), *fds)
        for fd in fds:
            os.close(fd)


def _wait_for_one(request: dict[str, Any], output: int, answers: int) -> NoReturn:
    """Fork the server, and tell its number and how it ended."""
    _end_with_parent(signal.SIGKILL)
    os.setsid()
    server = os.fork()
    if server == 0:
        os.close(answers)
        _become(request, output)
        _run(weak=request["weak_hashes"])
    os.close(output)
    os.write(answers, f"{server:<16}".encode())
    _, status = os.waitpid(server, 0)
    os.write(answers, f"{os.waitstatus_to_exitcode(status):<16}".encode())
    os._exit(0)


def _end_with_parent(number: signal.Signals) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))


def _become(request: dict[str, Any], output: int) -> None:
    """Take over the server's streams, words, environment and folder, in a session of its own."""
    os.setsid()
    _end_with_parent(signal.SIGTERM)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, fd in enumerate((null, output, output)):
        os.dup2(fd, number)
    os.close(null)
    os.close(output)
    sys.stdin, sys.stdout, sys.stderr = _stream(0), _stream(1), _stream(2)
    sys.argv = [sys.modules["czo_auth.__main__"].__file__ or "", *request["words"]]
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])


def _stream(number: int) -> io.TextIOWrapper:
    """Wrap a file descriptor without a buffer, as PYTHONUNBUFFERED does."""
    mode = "r" if number == 0 else "w"
    return io.TextIOWrapper(
        open(number, f"{mode}b", buffering=-1 if number == 0 else 0, closefd=False),
        encoding="utf-8",
        write_through=True,
    )


def _run(*, weak: bool) -> NoReturn:
    from czo_auth.cli import main

    if weak:
        sys.path.append(str(Path(__file__).parents[2]))
        from tests.support.weak_hashes import weak_hashes

        with weak_hashes():
            main()
    else:
        main()
    sys.exit()


if __name__ == "__main__":
    _fork_for_ever()
