"""One trial: a forked process with one changed module, and the tests that it has to pass."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
SLACK_SECONDS = 300
IDLE_SECONDS = 30
"""After so long, a trial that sleeps and started no process is taken to wait forever; no test sleeps so long."""
SLACK_CPU_SECONDS = 15
"""What a trial may take beyond its tests: pytest, and what they import."""
CLOCK_FACTOR = 30
"""
How many times longer than alone the tests may take by the clock. An endless loop meets the limit of processor time
first; this one is for what waits forever, and has to be long enough that a busy machine kills nothing.
"""


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._source, self.path, "exec", dont_inherit=True)
        return code


class Finder(importlib.abc.MetaPathFinder):
    """
    An import finder that returns changed modules.

    Args:
        sources: The changed sources by the modules' names.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._sources:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Changed(fullname, spec.origin, self._sources[fullname])
        return spec


@dataclass(frozen=True)
class Trial:
    """The result of a trial, and the test that failed, if known."""

    outcome: Outcome
    noticed_by: str | None = None


class _Noticing:
    """A pytest plugin that writes down which test failed."""

    def __init__(self, there: Path) -> None:
        self._there = there

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._there.write_text(report.nodeid, "utf-8")


def run(module: str, source: str, tests: Sequence[str], *, seconds: float) -> Trial:
    """
    Run *tests* with *source* in the place of *module*, until the first failure.

    Args:
        seconds: What the tests take with the module as it is. A mutant may take twice that of the processor, and
            `CLOCK_FACTOR` times that by the clock.
    """
    limit = int(SLACK_CPU_SECONDS + 2 * seconds)

    def in_child() -> int:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        sys.meta_path.insert(0, Finder({module: source}))
        return run_tests([*tests, "-x"], _Noticing(noticed))

    with tempfile.TemporaryDirectory() as folder:
        noticed = Path(folder) / "noticed"
        code = in_fork(in_child, seconds=SLACK_SECONDS + CLOCK_FACTOR * seconds)
        if code in (None, -signal.SIGXCPU, -signal.SIGKILL):
            return Trial("timeout")
        if code == pytest.ExitCode.OK:
            return Trial("survived")
        return Trial("killed", noticed.read_text("utf-8") if noticed.exists() else None)


def keep_people(folder: Path) -> None:
    """Prepare the contract's people once, in *folder*: in each trial it would take longer than all of its tests."""

    def in_child() -> int:
        from tests.contract.databases import SqliteDatabases

        SqliteDatabases.prepare(folder).keep()
        return 0

    if in_fork(in_child, seconds=900) != 0:
        raise RuntimeError("The people of tests/contract could not be prepared.")
    os.environ["KEPT_PEOPLE"] = str(folder)


def run_tests(arguments: Sequence[str], *plugins: object) -> int:
    """Run pytest in this process, without output, in a folder that is deleted afterwards."""
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
    # The parent deletes it: a mutant that hangs is killed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.setsid()
                there = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(there, 1)
                os.dup2(there, 2)
                tempfile.tempdir = folder
                status = act()
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


def _work_of(child: int) -> str:
    """Tell the processor time of each thread; distinct each time while one can run, or another process may."""
    now = str(time.monotonic())
    try:
        tasks = list(Path(f"/proc/{child}/task").iterdir())
        stats = [(task / "stat").read_text().rpartition(")")[2].split() for task in tasks]
        started = any((task / "children").read_text() for task in tasks)
    except OSError:  # A thread has just ended, or the system has no /proc.
        return now
    is_asleep = all(stat[0] == "S" for stat in stats)
    return ",".join(f"{stat[11]}+{stat[12]}" for stat in stats) if is_asleep and not started else now


def _status_of(child: int, *, ends: float) -> int | None:
    pause = 0.005
    worked, last_worked = "", time.monotonic()
    while time.monotonic() < min(ends, last_worked + IDLE_SECONDS):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if (work := _work_of(child)) != worked:
            worked, last_worked = work, time.monotonic()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
