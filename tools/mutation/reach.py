"""Which test runs which statement: asked once, so that a mutant meets only the tests that can notice it."""

from __future__ import annotations

import ast
import builtins
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tools.mutation.trial import Finder

_NOTE = "_czo_auth_note_statement"

ELSEWHERE = frozenset(
    {
        "postgres_server",
        "postgres_url",
        "postgres_databases",
        "postgres_served",
        "served",
        "sqlite_served",
        "start_server",
    }
)
"""Fixtures of tests that run the code in another process, where it is not changed, or ask PostgreSQL the same again."""


class InProcess:
    """A pytest plugin that leaves out the tests of other processes and of the second database."""

    @staticmethod
    def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if _is_in_process(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept


def _is_in_process(item: pytest.Item) -> bool:
    return ELSEWHERE.isdisjoint(getattr(item, "fixturenames", ())) and "postgres" not in item.name


class Reach:
    """
    A pytest plugin that notes the statements of some files that each test runs, and its processor time.

    The modules are imported with a call before each statement of their functions: tracing calls something for every
    function of every library too. What runs while modules are imported and tests collected belongs to no test.

    Args:
        files: Absolute paths.
    """

    def __init__(self, files: set[str]) -> None:
        self._files = files
        self._lines: set[tuple[str, int]] = set()
        self.failed: list[str] = []
        self.outside: set[tuple[str, int]] = set()
        """File and line of the statements that ran before the first test."""
        self.tests: dict[str, dict[str, Any]] = {}

    @contextmanager
    def noting(self, sources: Path) -> Iterator[None]:
        """Import the files, which are below *sources*, such that they note what runs."""
        noted = {}
        for file in self._files:
            parts = Path(file).relative_to(sources).with_suffix("").parts
            noted[".".join(parts).removesuffix(".__init__")] = noting_statements(file)
        builtins.__dict__[_NOTE] = self._note
        finder = Finder(noted)
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            del builtins.__dict__[_NOTE]

    def pytest_collection_finish(self) -> None:
        self.outside |= self._lines

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines.clear()
        started = time.process_time()
        try:
            return (yield)
        finally:
            lines = defaultdict(list)
            for file, line in sorted(self._lines.copy()):
                lines[file].append(line)
            self.tests[item.nodeid] = {"seconds": time.process_time() - started, "lines": lines}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def _note(self, file: str, line: int) -> None:
        self._lines.add((file, line))


def noting_statements(file: str) -> str:
    """Return the source of *file* with a call before each statement of its functions."""
    return ast.unparse(_Noting(file).visit(ast.parse(Path(file).read_text("utf-8"))))


class _Noting(ast.NodeTransformer):
    def __init__(self, file: str) -> None:
        self._file = file
        self._in_function = False

    def generic_visit(self, node: ast.AST) -> ast.AST:
        before = self._in_function
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if is_function:
            self._in_function = True
        elif isinstance(node, ast.ClassDef):
            self._in_function = False
        super().generic_visit(node)
        if self._in_function:
            for name in ("body", "orelse", "finalbody"):
                block = getattr(node, name, None)
                if isinstance(block, list):
                    setattr(node, name, list(self._noted(block, with_docstring=is_function)))
        self._in_function = before
        return node

    def _noted(self, block: list[ast.stmt], *, with_docstring: bool) -> Iterator[ast.stmt]:
        for index, statement in enumerate(block):
            is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not (with_docstring and index == 0 and is_docstring):
                place: list[ast.expr] = [ast.Constant(self._file), ast.Constant(statement.lineno)]
                call = ast.Call(func=ast.Name(_NOTE, ast.Load()), args=place, keywords=[])
                yield ast.fix_missing_locations(ast.copy_location(ast.Expr(call), statement))
            yield statement
