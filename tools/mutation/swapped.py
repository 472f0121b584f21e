"""Mutants inside functions, without importing anything again: a process that has the tests collected forks for each."""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import json
import os
import re
import resource
import signal
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

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
_VALUES = (
    bool,
    int,
    float,
    str,
    bytes,
    tuple,
    list,
    dict,
    set,
    frozenset,
    range,
    re.Pattern,
    date,
    timedelta,
)
"""Types of constants, which can be replaced wherever a module, a class or a default refers to them."""


@dataclass(frozen=True)
class _Request:
    """What a fork is asked to do: to run tests, in this order, with the functions of a changed source."""

    module: str
    path: str
    source: str
    at_import: bool
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

    def run(
        self, module: str, path: Path, source: str, tests: dict[str, float], *, at_import: bool = False
    ) -> Trial | None:
        """
        Run *tests*, with their seconds, until the first failure; None when nothing can be changed in place.

        What ran while the tests were collected ran unchanged; a trial that imports the module may notice that.

        Args:
            at_import: Whether the change is in what runs when the module is imported.
        """
        left = dict(tests)
        while left:
            code, noticed = self._ask(module, path, source, left, at_import=at_import)
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
            code, _ = self._ask(module, path, path.read_text("utf-8"), {test: seconds}, at_import=False)
            self._passing[test] = code == 0
        return self._passing[test]

    def _ask(
        self, module: str, path: Path, source: str, tests: dict[str, float], *, at_import: bool
    ) -> tuple[int | None, str | None]:
        seconds = sum(tests.values())
        request = _Request(
            module=module,
            path=str(path),
            source=source,
            at_import=at_import,
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
    present: dict[str, _Present] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        gc.freeze()
        for line in self.asked.makefile("r", encoding="utf-8"):
            request = _Request(**json.loads(line))
            if request.path not in self.present:
                importlib.import_module(request.module)
                self.present[request.path] = _Present.of(request)
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
        present = self.present[request.path]
        is_swapped = present.swap_values if request.at_import else present.swap_functions
        if not is_swapped(request):
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


@dataclass
class _Present:
    """
    A module as it is.

    Attributes:
        text: Its source.
        codes: The codes of its functions and classes, of the source as `ast.unparse` writes it, as it does for mutants.
        functions: Every function that was made from it.
        values: Its constants that are equal whenever it is imported.
    """

    text: str
    codes: dict[Place, CodeType]
    functions: dict[Place, list[FunctionType]]
    values: dict[tuple[str, ...], Any]

    @classmethod
    def of(cls, request: _Request) -> _Present:
        text = Path(request.path).read_text("utf-8")
        same = ast.unparse(ast.parse(text))
        again = _values_of(_executed(request.module, same))
        values = _values_of(_executed(request.module, same)).items()
        equal = {where: value for where, value in values if again.get(where) == value}
        return cls(text, dict(_codes(same)), _functions_of(request.path), equal)

    def swap_functions(self, request: _Request) -> bool:
        """Give the functions the code of the changed source; False when no function changes."""
        is_changed = False
        try:
            for place, code in _codes(request.source):
                for function in self.functions.get(place, ()):
                    function.__code__ = code.replace(co_filename=request.path)
                    is_changed = is_changed or code != self.codes.get(place)
        except ValueError:
            # It closes over other names than before.
            return False
        return is_changed or request.source == self.text

    def swap_values(self, request: _Request) -> bool:
        """Set the constants and defaults of the changed source, also where they were imported; False without any."""
        module = sys.modules[request.module]
        try:
            new = _values_of(_executed(request.module, request.source))
            changed = {place: value for place, value in new.items() if self.values.get(place, value) != value}
            for (*holders, name), value in changed.items():
                holder: Any = module
                for one in holders:
                    holder = vars(holder)[one]
                for other in _importers(module, name) if holder is module else ():
                    setattr(other, name, value)
                setattr(holder, name, value)
        except Exception:
            return False
        return bool(changed)


def _importers(module: ModuleType, name: str) -> Iterator[ModuleType]:
    """Yield the modules that have a constant by its name from another one."""
    value = getattr(module, name)
    defines = re.compile(rf"^{name}\b.*=", re.MULTILINE)
    for other in list(sys.modules.values()):
        if other is not module and getattr(other, "__dict__", {}).get(name) is value:
            file = getattr(other, "__file__", None)
            if file is not None and not defines.search(Path(file).read_text("utf-8")):
                yield other


def _executed(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(__package__=name.rpartition(".")[0], __file__=sys.modules[name].__file__)
    exec(compile(source, name, "exec", dont_inherit=True), vars(module))
    return module


def _values_of(module: ModuleType) -> dict[tuple[str, ...], Any]:
    """Find the constants of a module and its classes, and the defaults of their functions, by the way to them."""
    found: dict[tuple[str, ...], Any] = {}

    def look_into(holder: Any, way: tuple[str, ...]) -> None:
        for name, value in vars(holder).items():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                found[*way, name, "__defaults__"] = value.__defaults__
                found[*way, name, "__kwdefaults__"] = value.__kwdefaults__
            elif isinstance(value, type) and value.__module__ == module.__name__ and not way:
                look_into(value, (name,))
            elif isinstance(value, _VALUES) and not name.startswith("__"):
                found[*way, name] = value

    look_into(module, ())
    return found


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
