"""Mutants inside functions, without importing anything again: a process that has the tests collected forks for each."""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from tools.mutation import trial
from tools.mutation.reach import InProcess
from tools.mutation.trial import Trial

SLACK_CPU_SECONDS = 5
"""What a trial may take beyond its tests; nothing is imported."""
NOT_SWAPPED = 71
"""Status of a trial whose change is in no function that can be given other code."""
NOTICED = 1
"""Status of a trial in which a test failed."""
Place = tuple[str, int]
"""The qualified name of a function, and its number among those of this name."""


@dataclass(frozen=True)
class _Request:
    """What a fork is asked to do: to run tests, in this order, with the functions of a changed source."""

    module: str
    path: str
    source: str
    tests: list[str]
    limit: int
    seconds: float


class Collected:
    """
    A process that has collected tests, and runs some of them in forks of its own with changed functions.

    A test counts as a witness only when it passes in such a fork with the code as it is: once asked, then remembered.

    Args:
        folders: Where the tests are.
    """

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._passing: dict[str, bool] = {}
        self._socket, theirs = socket.socketpair()
        self._process = os.fork()
        if self._process == 0:
            status = 70
            try:
                self._socket.close()
                status = _serve(folders, theirs)
            finally:
                os._exit(status)
        theirs.close()
        self._lines = self._socket.makefile("r", encoding="utf-8")

    def run(self, module: str, path: Path, source: str, tests: dict[str, float]) -> Trial | None:
        """
        Run *tests*, with their seconds, until the first failure; None when the functions cannot be changed in place.

        What ran while the tests were collected ran unchanged; a trial that imports the module may notice that.
        """
        left = dict(tests)
        while left:
            code, noticed = self._ask(module, path, source, left)
            if code == NOT_SWAPPED:
                return None
            if code in (None, -signal.SIGXCPU, -signal.SIGKILL):
                return Trial("timeout")
            if code == 0:
                break
            if noticed is None or self._passes(module, path, noticed, left.get(noticed, 0)):
                return Trial("killed", noticed)
            del left[noticed]
        return Trial("survived")

    def close(self) -> None:
        """End the process, and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)
        self._lines.close()
        self._socket.close()

    def _passes(self, module: str, path: Path, test: str, seconds: float) -> bool:
        if test not in self._passing:
            code, _ = self._ask(module, path, path.read_text("utf-8"), {test: seconds})
            self._passing[test] = code == 0
        return self._passing[test]

    def _ask(
        self, module: str, path: Path, source: str, tests: dict[str, float]
    ) -> tuple[int | None, str | None]:
        seconds = sum(tests.values())
        request = _Request(
            module=module,
            path=str(path),
            source=source,
            tests=list(tests),
            limit=int(SLACK_CPU_SECONDS + 2 * seconds),
            seconds=trial.SLACK_SECONDS + trial.CLOCK_FACTOR * seconds,
        )
        self._socket.sendall(f"{json.dumps(vars(request))}\n".encode())
        answer = self._lines.readline()
        if not answer:
            raise RuntimeError("The process with the collected tests ended.")
        code, noticed = json.loads(answer)
        return code, noticed


def _serve(folders: tuple[str, ...], asked: socket.socket) -> int:
    os.setsid()
    # The fork in which a trial runs is ended with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return trial.run_tests(list(folders), InProcess(), _Loop(asked))


@dataclass
class _Loop:
    """A pytest plugin that waits for requests where the tests would run, and forks for each."""

    asked: socket.socket
    noticed: str | None = None
    functions: dict[str, dict[Place, list[FunctionType]]] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        gc.freeze()
        for line in self.asked.makefile("r", encoding="utf-8"):
            request = _Request(**json.loads(line))
            if request.path not in self.functions:
                importlib.import_module(request.module)
                self.functions[request.path] = _functions_of(request.path)
            code, noticed = self._fork(session, items, request)
            self.asked.sendall(f"{json.dumps([code, noticed])}\n".encode())
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.noticed is None:
            self.noticed = report.nodeid

    def _fork(
        self, session: pytest.Session, items: dict[str, pytest.Item], request: _Request
    ) -> tuple[int | None, str | None]:
        read, write = os.pipe()
        act = partial(self._try, session, items, request, write)
        code = trial.in_fork(act, seconds=request.seconds)
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as pipe:
            return code, pipe.read() or None

    def _try(
        self, session: pytest.Session, items: dict[str, pytest.Item], request: _Request, write: int
    ) -> int:
        resource.setrlimit(resource.RLIMIT_CPU, (request.limit, request.limit))
        if not _swap(self.functions[request.path], request):
            return NOT_SWAPPED
        chosen = [items[name] for name in request.tests if name in items]
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.noticed is not None:
                os.write(write, self.noticed.encode())
                return NOTICED
        return 0


def _functions_of(path: str) -> dict[Place, list[FunctionType]]:
    """Find every function that was made from a file, among all objects that there are."""
    codes = list(_codes(Path(path).read_text("utf-8")))
    lines = Counter((code.co_qualname, code.co_firstlineno) for _, code in codes)
    # Two on one line cannot be told apart, and stay as they are.
    places = {
        where: place for place, code in codes if lines[where := (code.co_qualname, code.co_firstlineno)] == 1
    }
    found: dict[Place, list[FunctionType]] = defaultdict(list)
    gc.unfreeze()
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename == path:
            place = places.get((one.__code__.co_qualname, one.__code__.co_firstlineno))
            if place is not None:
                found[place].append(one)
    gc.freeze()
    return found


def _swap(functions: dict[Place, list[FunctionType]], request: _Request) -> bool:
    # Both are spelled by the same writer, so that what was not changed compares equal.
    present = Path(request.path).read_text("utf-8")
    unchanged = dict(_codes(ast.unparse(ast.parse(present))))
    is_changed = False
    try:
        for place, code in _codes(request.source):
            for function in functions.get(place, ()):
                function.__code__ = code.replace(co_filename=request.path)
                is_changed = is_changed or code != unchanged.get(place)
    except ValueError:
        # It closes over other names than before.
        return False
    return is_changed or request.source == present


def _codes(source: str) -> Iterator[tuple[Place, CodeType]]:
    """Yield the code of each function and class of a source, with its place."""
    met: dict[str, int] = defaultdict(int)

    def inside(code: CodeType) -> Iterator[tuple[Place, CodeType]]:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                met[constant.co_qualname] += 1
                yield (constant.co_qualname, met[constant.co_qualname]), constant
                yield from inside(constant)

    yield from inside(compile(source, "module", "exec", dont_inherit=True))
