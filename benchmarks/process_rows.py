"""The process itself: time to the first response, and memory; and the time of its tests."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from benchmarks.credentials_rows import loaded, ours
from benchmarks.load import bear
from benchmarks.measure import OURS, Row
from benchmarks.subjects import ROOT, Subject, running
from tests.support.ports import free_port

_IMPORTS_OF_A_START = "import czo_auth.cli.processes, czo_auth.app, czo_auth.graphql.app"
_LEAST_SHARE = 0.04
"""A package with less of the time has no row of its own."""


def start_rows(*, rounds: int) -> list[Row]:
    """Measure starts, with the files in the system's cache as they are after the first of them."""
    wanted: list[tuple[str, float | None, Callable[[], float]]] = [
        ("`czo-auth serve` in an empty folder, until the first answer", 1, _serve_seconds),
        ("`czo-auth --help`", 0.15, lambda: _run_seconds("-m", "czo_auth", "--help")),
        ("`import czo_auth`, interpreter included", 0.05, lambda: _run_seconds("-c", "import czo_auth")),
        ("an interpreter that imports nothing more", None, lambda: _run_seconds("-c", "pass")),
    ]
    times: dict[str, list[float]] = {what: [] for what, _, _ in wanted}
    for number in range(rounds + 1):
        for what, _, measured in wanted:
            seconds = measured()
            if number:
                times[what].append(seconds)
    return [
        Row(operation=what, subject=OURS, value=statistics.median(times[what]), unit="s", target=target)
        for what, target, _ in wanted
    ]


def import_rows(*, rounds: int) -> list[Row]:
    """Divide what a start and a command import by who is imported: wall time of the modules' own code."""
    rows = []
    for of, command in (
        ("a start", ("-c", f"import gc; gc.disable(); {_IMPORTS_OF_A_START}")),
        ("`czo-auth --help`", ("-m", "czo_auth", "--help")),
        ("`import czo_auth`", ("-c", "import czo_auth")),
    ):
        found = [_import_milliseconds(*command) for _ in range(rounds + 1)][1:]
        parts = {name: statistics.median(each.get(name, 0.0) for each in found) for name in found[0]}
        for name, value in sorted(parts.items(), key=lambda part: -part[1]):
            if value >= _LEAST_SHARE * sum(parts.values()):
                operation = f"imports of {of}: {name}"
                rows.append(Row(operation=operation, subject=OURS, value=value, unit="ms"))
    return rows


def test_rows() -> list[Row]:
    """
    Run ``make test`` once, with what is set up already.

    Raises:
        RuntimeError: A test failed.
    """
    # Of the `make` that started this, neither its options nor its jobs.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    begun, before = time.perf_counter(), os.times()
    done = subprocess.run(["make", "test"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode != 0:
        raise RuntimeError(f"make test: {done.stdout[-3000:]}{done.stderr[-1000:]}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return [
        Row(operation="`make test`", subject=OURS, value=seconds, unit="s", target=300),
        Row(
            operation="CPU time of `make test`, divided by the cores",
            subject=OURS,
            value=used / (os.cpu_count() or 1),
            unit="s",
        ),
    ]


def _import_milliseconds(*command: str) -> dict[str, float]:
    """Return how long the modules of each package took, without what they import themselves."""
    run = [sys.executable, "-X", "importtime", *command]
    lines = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stderr.splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if not line.startswith("import time:") or "self [us]" in line:
            continue
        own, _, module = line.removeprefix("import time:").split("|")
        package, _, below = module.strip().partition(".")
        if package == "czo_auth":
            name = f"the product's {below.partition('.')[0] or 'package itself'}"
        else:
            name = "Python's own" if package in sys.stdlib_module_names else package
        found[name] = found.get(name, 0.0) + int(own) / 1000
    return found


def rest_rows(directory: Path) -> list[Row]:
    """Measure the memory of a server at rest, its largest process, and that of an interpreter with the same imports."""
    with tempfile.TemporaryDirectory() as folder:
        serving = Subject(OURS, _serve_command(), env=_serve_environment(Path(folder)))
        with running([serving], directory):
            _first_answer(serving.port)
            time.sleep(2)
            at_rest = serving.resident_megabytes()
    return [
        Row(operation=operation, subject=OURS, value=value, unit="MB", target=target)
        for operation, value, target in (
            ("one worker of `czo-auth serve` at rest", at_rest, 110),
            (
                "memory of an interpreter with the imports of a start",
                _megabytes_of(_IMPORTS_OF_A_START),
                None,
            ),
            ("memory of an interpreter that imports nothing", _megabytes_of("pass"), None),
        )
    ]


def _megabytes_of(code: str) -> float:
    """Return the resident memory of an interpreter after *code*."""
    run = [sys.executable, "-c", f"import gc; gc.disable(); {code}; print(); input()"]
    with subprocess.Popen(run, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = psutil.Process(process.pid).memory_info().rss / 1e6
        process.communicate(b"\n")
    return used


def memory_rows(directory: Path, *, requests: Mapping[int, int]) -> list[Row]:
    """Measure a worker after *requests* requests, by the number of keys."""
    rows = []
    for size, wanted in requests.items():
        with loaded(size, directory, None) as base:
            subject = ours(OURS, base, base.tokens)
        with running([subject], directory):
            # Long enough for the first uses to be written, which allocates what stays.
            bear(subject.port, "/", subject.tokens, seconds=15)
            before, made = subject.resident_megabytes(), 0
            while made < wanted:
                made += bear(subject.port, "/", subject.tokens, seconds=5).requests
            grown = subject.resident_megabytes() - before
        rows.append(
            Row(
                operation=f"growth of a worker over {made / 1e6:.2g} million requests",
                subject=OURS,
                database="sqlite",
                keys=size,
                value=grown,
                unit="MB",
                # The allocator's rounding, not a leak.
                target=5,
                note=f"{before:.0f} MB before",
            )
        )
    return rows


def _serve_command() -> list[str]:
    return [sys.executable, "-m", "czo_auth", "serve", "--host", "127.0.0.1", "--port", "{port}"]


def _serve_environment(folder: Path) -> dict[str, str]:
    return {"CZO_AUTH_DATA_DIR": str(folder / "data")}


def _serve_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [part.replace("{port}", str(port)) for part in _serve_command()]
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ["PATH"], **_serve_environment(Path(folder))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _first_answer(port)
            return time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait(20)


def _first_answer(port: int) -> None:
    for _ in range(3000):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise RuntimeError("the server does not answer")


def _run_seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, timeout=60)
    return time.perf_counter() - begun
