"""
Where a key check waits, beside other work of its process: ``python -m benchmarks.waits [--write]``, on Linux.

The server notes when its event loop ran whose code (`benchmarks.hosts.timed_serve`), and a client of its own notes when
each check was sent and answered, by the same clock. The slowest hundredth of the checks, whose fastest is the p99, is
divided by what the loop did meanwhile. A bare hello in another process is asked by the same client at the same time:
its p99 is what the machine does to anybody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.beside_rows import activities
from benchmarks.hosts.timed_serve import NUMBER
from benchmarks.people_rows import serving
from benchmarks.subjects import Subject, granian, running

BEGIN, END = "<!-- waits: begin -->", "<!-- waits: end -->"
ROUNDS: Final = 5
IDLE: Final = "nothing else"
_SECONDS: Final = 4.0
_CLIENTS: Final = 4
_PAUSE_SECONDS: Final = 0.02
_CONNECTED_SECONDS: Final = 0.2
_SLOWEST: Final = 100
"""One of so many checks is looked at."""
_LEAST_SHARE: Final = 0.03
"""A part with less of the time is left out of the table."""


@dataclass(frozen=True)
class Turn:
    """One callback of the event loop: whose code it ran, when, and for how much CPU time. Unit: nanoseconds."""

    begun: int
    ended: int
    used: int
    name: str


@dataclass(frozen=True)
class Check:
    """A key check as its client and its server saw it. Unit: nanoseconds of one clock."""

    sent: int
    handed_over: int
    called: int
    answered: int
    received: int

    @property
    def waited(self) -> int:
        return self.received - self.sent


@dataclass
class Beside:
    """
    The checks beside one activity.

    Attributes:
        p99: Of each round. Unit: milliseconds.
        hello_p99: That of the bare hello.
        slowest: The slowest checks of each round.
    """

    p99: list[float] = field(default_factory=list)
    hello_p99: list[float] = field(default_factory=list)
    slowest: list[Check] = field(default_factory=list)


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print; *given* are the arguments, those of the command line if None."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waits", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="czo-waits-") as folder:
        found, notes = _measured(Path(folder), rounds=arguments.rounds)
    text = _table(found, notes)
    print(text)
    if arguments.write:
        report.replace_part(BEGIN, END, text)
    return 0


def _measured(directory: Path, *, rounds: int) -> tuple[Mapping[str, Beside], Notes]:
    checks = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    bare = Subject("hello", granian("benchmarks.hosts.hello:app"))
    numbers = count(1)
    seen: list[tuple[str, _Seen]] = []
    with checks, running([bare], directory) as up:
        if not up:
            raise RuntimeError("hello does not start")
        timed = serving(directory, module="benchmarks.hosts.timed_serve", BENCH_NOTES=str(directory))
        with timed as service:
            owner = service.newcomer()
            key = service.new_credential(owner)
            beside: dict[str, Callable[[], Awaitable[object]] | None] = {IDLE: None}
            beside |= activities(service, directory, owner, [])
            for _ in range(rounds):
                for what, act in beside.items():
                    asked = _Asked(service.subject.port, bare.port, key, next(numbers) * 1_000_000)
                    seen.append((what, asyncio.run(_checked(checks, asked, act))))
    notes = Notes(directory)
    found: dict[str, Beside] = {}
    for what, each in seen:
        _add(found.setdefault(what, Beside()), each, notes)
    return found, notes


def _add(beside: Beside, seen: _Seen, notes: Notes) -> None:
    checks = []
    for number, (sent, received) in seen.checks.items():
        handed_over, called, answered = notes.checks[number]
        checks.append(Check(sent, handed_over, called, answered, received))
    checks.sort(key=lambda check: check.waited)
    slowest = checks[int(len(checks) * (1 - 1 / _SLOWEST)) :]
    beside.slowest += slowest
    beside.p99.append(slowest[0].waited / 1e6)
    hellos = sorted(seen.hellos)
    beside.hello_p99.append(hellos[int(len(hellos) * (1 - 1 / _SLOWEST))] / 1e6)


def records(path: Path, width: int) -> Iterator[tuple[int, ...]]:
    """Read what a server noted, *width* numbers at a time."""
    numbers = array("q")
    numbers.frombytes(path.read_bytes())
    return zip(*(numbers[place::width] for place in range(width)), strict=True)


class Notes:
    """What a server noted; see `benchmarks.hosts.timed_serve.Notes`."""

    def __init__(self, directory: Path) -> None:
        names = json.loads((directory / "names.json").read_text())
        self._turns = [
            Turn(begun, ended, used, names[name])
            for begun, ended, used, name in records(directory / "turns", 4)
        ]
        self._ends = [turn.ended for turn in self._turns]
        self._collections = list(records(directory / "collections", 2))
        self.checks = {number: rest for number, *rest in records(directory / "checks", 4)}

    def parts_of(self, check: Check) -> Counter[tuple[str, str]]:
        """Divide the time of a check by where it is, and by what the event loop does meanwhile. Unit: nanoseconds."""
        parts: Counter[tuple[str, str]] = Counter()
        for place, begin, end in (
            ("sent, and not handed to the loop", check.sent, check.handed_over),
            ("handed to the loop, and not begun", check.handed_over, check.called),
            ("begun, and not answered", check.called, check.answered),
            ("on the way back", check.answered, check.received),
        ):
            idle = end - begin
            for turn in self._turns_between(begin, end):
                shared = min(turn.ended, end) - max(turn.begun, begin)
                running = int(shared * min(1, turn.used / max(1, turn.ended - turn.begun)))
                name = turn.name or "results of threads, timers"
                parts[place, f"runs {name}"] += running
                parts[place, f"wants to run {name}: no core, or not the lock"] += shared - running
                idle -= shared
            parts[place, "is between two callbacks"] += idle
        return parts

    def collected_during(self, check: Check) -> int:
        """Return how long the garbage collector ran meanwhile. Unit: nanoseconds."""
        return sum(
            max(0, min(ended, check.received) - max(begun, check.sent)) for begun, ended in self._collections
        )

    def _turns_between(self, begin: int, end: int) -> Iterator[Turn]:
        for turn in islice(self._turns, bisect_left(self._ends, begin), None):
            if turn.begun >= end:
                return
            yield turn


@dataclass(frozen=True)
class _Asked:
    """What the client asks: two ports of 127.0.0.1, a key, and the first number of its checks."""

    port: int
    hello_port: int
    key: str
    first: int


@dataclass(frozen=True)
class _Seen:
    """What the client saw: when each check was sent and answered, and how long each hello took. Unit: nanoseconds."""

    checks: Mapping[int, tuple[int, int]]
    hellos: Sequence[int]


async def _checked(
    checks: ProcessPoolExecutor, asked: _Asked, act: Callable[[], Awaitable[object]] | None
) -> _Seen:
    checking = asyncio.get_running_loop().run_in_executor(checks, _check, asked)
    if act is not None:
        await asyncio.sleep(_CONNECTED_SECONDS)
        await act()
    return await checking


def _check(asked: _Asked) -> _Seen:
    return asyncio.run(_paced(asked))


async def _paced(asked: _Asked) -> _Seen:
    checks: dict[int, tuple[int, int]] = {}
    hellos: list[int] = []
    numbers = count(asked.first)
    end = time.monotonic() + _SECONDS

    async def check() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
        while time.monotonic() < end:
            number = next(numbers)
            head = f"GET /api/auth/forward-auth HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {asked.key}\r\n"
            request = f"{head}{NUMBER.decode()}: {number}\r\n\r\n".encode()
            sent = time.monotonic_ns()
            writer.write(request)
            await _answered(reader)
            checks[number] = (sent, time.monotonic_ns())
            await asyncio.sleep(_PAUSE_SECONDS)
        writer.close()

    async def hello() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", asked.hello_port)
        while time.monotonic() < end:
            sent = time.monotonic_ns()
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await _answered(reader)
            hellos.append(time.monotonic_ns() - sent)
            await asyncio.sleep(_PAUSE_SECONDS)
        writer.close()

    await asyncio.gather(*(one() for one in (check, hello) for _ in range(_CLIENTS)))
    return _Seen(checks, hellos)


async def _answered(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200" not in head.split(b"\r\n", 1)[0]:
        raise RuntimeError(head.decode())
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))


def _table(found: Mapping[str, Beside], notes: Notes) -> str:
    lines = [
        "| beside | p99, ms | a hello's, ms | the slowest hundredth, where they are | meanwhile the event loop | ms |",
        "| --- | ---: | ---: | --- | --- | ---: |",
    ]
    for what, beside in found.items():
        p99, hello = statistics.median(beside.p99), statistics.median(beside.hello_p99)
        whole = statistics.mean(check.waited for check in beside.slowest) / 1e6
        lines.append(f"| **{what}** | {p99:.1f} | {hello:.1f} | anywhere | | {whole:.2f} |")
        parts: Counter[tuple[str, str]] = Counter()
        for check in beside.slowest:
            parts += notes.parts_of(check)
        collecting = sum(map(notes.collected_during, beside.slowest))
        for (place, doing), nanoseconds in [
            *parts.most_common(),
            (("anywhere", "or another thread collects garbage"), collecting),
        ]:
            mean = nanoseconds / len(beside.slowest) / 1e6
            if mean >= whole * _LEAST_SHARE:
                lines.append(f"| | | | {place} | {doing} | {mean:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
