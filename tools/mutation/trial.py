"""One trial: a forked process in which one module is another, and the tests that it has to pass."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Literal

import pytest

Outcome = Literal["killed", "survived", "timeout"]
THIRD_PARTY = (
    "aiosmtplib",
    "alembic.command",
    "argon2",
    "asyncio",
    "bcrypt",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.serialization",
    "fastapi",
    "httpx",
    "hypothesis",
    "joserfc.jwt",
    "jinja2",
    "limits",
    "pydantic_settings",
    "pytest_asyncio",
    "rich",
    "sqlalchemy.ext.asyncio",
    "strawberry",
    "time_machine",
    "typer",
    "tests.support.postgres",
    "tests.support.server",
)
"""What the tests import sooner or later, and is not under test; imported once, before any fork."""


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._source, self.path, "exec", dont_inherit=True)
        return code


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, changed."""

    def __init__(self, module: str, source: str) -> None:
        self._module = module
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Changed(fullname, spec.origin, self._source)
        return spec


def run(module: str, source: str, tests: Sequence[str], *, seconds: float) -> Outcome:
    """Run *tests* with *source* in the place of *module*, until the first failure."""

    def in_child() -> int:
        sys.meta_path.insert(0, _Finder(module, source))
        return run_tests([*tests, "-x"])

    code = in_fork(in_child, seconds=seconds)
    if code is None:
        return "timeout"
    return "survived" if code == pytest.ExitCode.OK else "killed"


def run_tests(arguments: Sequence[str], *plugins: object) -> int:
    """Run pytest in this process, in silence, in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "-q",
            "--no-header",
            "--tb=no",
            "--assert=plain",
            "-pno:cacheprovider",
            f"--basetemp={folder}/t",
        ]
        return int(pytest.main([*options, *arguments], plugins=list(plugins)))


def in_fork(act: Callable[[], int], *, seconds: float, output: Path | None = None) -> int | None:
    """Do *act* in a process of its own; gives its status, or None when it did not end in time."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()
            there = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(there, 1)
            os.dup2(there, 2)
            folder = tempfile.mkdtemp()
            tempfile.tempdir = folder
            status = act()
            shutil.rmtree(folder, ignore_errors=True)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    try:
        return _status_of(child, ends=time.monotonic() + seconds)
    finally:
        # Whatever it started goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)


def _status_of(child: int, *, ends: float) -> int | None:
    pause = 0.005
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
