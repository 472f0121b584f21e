"""
Commands as processes that need not import everything first.

A process that has imported the command line forks one child for each command: the same code, the same warnings as
errors and the same way to end as `python -m czo_auth`, without half a second of imports. What the interpreter itself
reads at its start cannot be chosen here (PYTHON… but for PYTHONPATH, LC_…, TERM): such commands are started the long
way.

Usage: forks.py, with a socket as standard input.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from typing import IO, NoReturn

_MAX_LENGTH = 1 << 17
_PR_SET_PDEATHSIG = 1


def run_forked(
    words: tuple[str, ...], *, env: Mapping[str, str], stdin: str, seconds: float
) -> subprocess.CompletedProcess[str]:
    """
    Run ``czo-auth`` with *words*.

    Raises:
        TimeoutError: It did not end in time.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        answer, to_answer = socket.socketpair()
        with answer:
            with to_answer:
                fds = [given.fileno(), out.fileno(), err.fileno(), to_answer.fileno()]
                asked = json.dumps({"words": words, "env": dict(env), "folder": os.getcwd()}).encode()
                socket.send_fds(_forking(), [asked], fds)
            answer.settimeout(seconds)
            status = int(answer.recv(16))
        return subprocess.CompletedProcess(words, status, _read(out), _read(err))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _forking() -> socket.socket:
    """Start the process that forks, once for the test process; it ends when its socket does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-W", "error", __file__]
        process = subprocess.Popen(command, stdin=theirs, env={"PATH": os.environ["PATH"]})

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait(10)

    return ours


# --- the process that forks ------------------------------------------------------------------------------------------
def _fork_for_ever() -> None:
    import typer.main

    import czo_auth.auth
    import czo_auth.cli.app
    import czo_auth.cli.command
    import czo_auth.cli.device_login
    import czo_auth.cli.logs
    import czo_auth.cli.output
    import czo_auth.cli.start_check
    import czo_auth.doctor.examination
    import czo_auth.rest.records
    import czo_auth.storage.migrate
    import czo_auth.storage.postgresql
    import czo_auth.storage.sqlite
    import czo_auth.templating
    from czo_auth.storage.tables import DEFAULT_PREFIX, tables_of
    from czo_auth.translations.catalogs import shipped

    tables_of(DEFAULT_PREFIX)
    shipped()
    # The tree of all commands is the same for each of them.
    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(czo_auth.cli.app.app)
    # Otherwise a command that ends goes through all that was imported here, ten times as long as most of them take.
    gc.collect()
    gc.freeze()
    asking = socket.socket(fileno=0)
    # A process that waits for a command is not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, fds, _, _ = socket.recv_fds(asking, _MAX_LENGTH, 4)
        if not asked:
            asking.close()
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asking.detach()
            _wait_for_one(json.loads(asked), fds)
        for fd in fds:
            os.close(fd)


def _wait_for_one(asked: dict[str, object], fds: list[int]) -> NoReturn:
    """Fork the command, and say how it ended."""
    _end_with_parent()
    command = os.fork()
    if command == 0:
        _end_with_parent()
        _become(asked, fds)
        from czo_auth.cli import main

        main()
        sys.exit()
    _, status = os.waitpid(command, 0)
    os.write(fds[3], str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _end_with_parent() -> None:
    """End when the process that forks does: a command that never ends by itself is left by its test."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _become(asked: dict[str, object], fds: list[int]) -> None:
    """Take over the command's streams, words, environment and folder."""
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    for fd in fds:
        os.close(fd)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), encoding="utf-8", line_buffering=True
    )
    words, env, folder = asked["words"], asked["env"], asked["folder"]
    assert isinstance(words, list)
    assert isinstance(env, dict)
    sys.argv = ["czo-auth", *words]
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.chdir(str(folder))


if __name__ == "__main__":
    _fork_for_ever()
