"""Which test runs which line: asked once, so that a mutant meets only the tests that can notice it."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

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
    A pytest plugin that notes the lines of some files that each test runs, and how long it takes.

    Lines that run while a module is imported belong to no test.

    Args:
        files: Absolute paths.
    """

    def __init__(self, files: set[str]) -> None:
        self._files = files
        self._lines: set[tuple[str, int]] = set()
        self.failed: list[str] = []
        self.tests: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines = set()
        threading.settrace(self._entered)
        sys.settrace(self._entered)
        started = time.perf_counter()
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            lines = defaultdict(list)
            for file, line in sorted(self._lines):
                lines[file].append(line)
            self.tests[item.nodeid] = {"seconds": time.perf_counter() - started, "lines": lines}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def _entered(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._ran if frame.f_code.co_filename in self._files else None

    def _ran(self, frame: FrameType, event: str, argument: object) -> Any:
        self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._ran
