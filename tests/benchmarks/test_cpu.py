"""CPU time is counted once, whichever processes come and go while it is counted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from benchmarks.cpu import seconds_of_each, seconds_of_tree, tree
from tests.support.postgres import PostgresServer

LEAST = 0.2
ROUNDED = 0.04
"""What a difference may lose: user and system time, own and of children, are each cut to a hundredth of a second."""
WORK = f"import time\nwhile time.process_time() < {LEAST}: pass\n"
PARENT = f"""
import subprocess, sys
for _ in sys.stdin:
    subprocess.run([sys.executable, "-I", "-S", "-c", {WORK!r}])
    print("ended", flush=True)
"""
needs_record_of_children = pytest.mark.skipif(
    sys.platform == "darwin", reason="the system does not say what ended children used"
)


@contextmanager
def parent() -> Iterator[subprocess.Popen[str]]:
    """Run a process that starts a child for every line, and answers when the child has ended."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def let_a_child_work(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("work\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ended\n"


@needs_record_of_children
def test_what_an_ended_child_used_is_counted_once() -> None:
    with parent() as process:
        before = seconds_of_tree(process.pid)
        let_a_child_work(process)
        first = seconds_of_tree(process.pid)
        let_a_child_work(process)
        second = seconds_of_tree(process.pid)
    assert first - before >= LEAST - ROUNDED
    assert second - first >= LEAST - ROUNDED


@needs_record_of_children
def test_backend_that_has_closed_its_connection_is_counted(postgres_server: PostgresServer) -> None:
    before = seconds_of_tree(postgres_server.pid)
    # More than a tenth of a second on any machine of today; without the ended backend it is a hundredth.
    postgres_server.execute("SELECT sum(n) FROM generate_series(1, 3000000) n")
    assert seconds_of_tree(postgres_server.pid) - before >= 0.05


def test_each_process_is_counted_without_its_children() -> None:
    with parent() as process:
        [before] = seconds_of_each(tree(process.pid)).values()
        let_a_child_work(process)
        [after] = seconds_of_each(tree(process.pid)).values()
    assert after - before < LEAST


def test_process_that_has_ended_is_not_counted_as_nothing() -> None:
    with parent() as process:
        processes = tree(process.pid)
    with pytest.raises(psutil.NoSuchProcess):
        seconds_of_each(processes)
    with pytest.raises(psutil.NoSuchProcess):
        seconds_of_tree(process.pid)
