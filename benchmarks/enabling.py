"""
Where the time of enabling two factors goes, until the answer: ``python -m benchmarks.enabling [--write]``, on Linux.

The server notes when each of its threads works on what (`benchmarks.hosts.timed_serve`), and the client notes when each
request is sent and answered, by the same clock. One request at a time: so each instant of it belongs to the thread that
works for it then, and what is left is between threads and processes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.hosts.timed_serve import COMMITS, DRAWS, HASHES, NUMBER, READS, WRITES
from benchmarks.people_rows import PASSWORD, SETTLE_SECONDS, Person, serving, wall_of_password_hash
from benchmarks.waits import records

BEGIN, END = "<!-- enabling: begin -->", "<!-- enabling: end -->"
ROUNDS: Final = 15
LOOP: Final = 5
_ORDER: Final = (HASHES, DRAWS, COMMITS, WRITES, READS, LOOP)
"""Which work an instant counts for, where several threads work: the first of these."""
WORKS: Final = {
    HASHES: "the thread that hashes the password",
    DRAWS: "a thread that draws the QR code",
    WRITES: "the thread that writes, without COMMIT",
    COMMITS: "of it, COMMIT, the sync to disk included",
    READS: "the thread that reads",
    LOOP: "the event loop",
}
TO_SERVER: Final = "between the client and the event loop, both ways"
BETWEEN: Final = "no thread of the process: a thread wakes another, or waits for a core"


@dataclass(frozen=True)
class Enabled:
    """
    One request as its client and its server saw it. Unit: nanoseconds of one clock.

    Attributes:
        password_hash: How long a password hash took the client just before.
    """

    sent: int
    handed_over: int
    answered: int
    received: int
    password_hash: int

    @property
    def waited(self) -> int:
        return self.received - self.sent


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print; *given* are the arguments, those of the command line if None."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.enabling", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="czo-enabling-") as folder:
        enabled = _measured(Path(folder), rounds=arguments.rounds)
        text = _table(enabled, Notes(Path(folder)))
    print(text)
    if arguments.write:
        report.replace_part(BEGIN, END, text)
    return 0


def _measured(directory: Path, *, rounds: int) -> Sequence[Enabled]:
    seen: dict[int, tuple[int, int, int]] = {}
    with serving(directory, module="benchmarks.hosts.timed_serve", BENCH_NOTES=str(directory)) as service:
        for number in range(rounds + 1):
            person = service.newcomer()
            time.sleep(SETTLE_SECONDS)
            password_hash = statistics.median(wall_of_password_hash() for _ in range(3))
            sent, received = _enable(service.subject.port, person, number)
            if number:
                seen[number] = (sent, received, int(password_hash * 1e9))
    checks = {number: rest for number, *rest in records(directory / "checks", 4)}
    return [
        Enabled(sent, checks[number][0], checks[number][2], received, password_hash)
        for number, (sent, received, password_hash) in seen.items()
    ]


def _enable(port: int, person: Person, number: int) -> tuple[int, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    body = json.dumps({"password": PASSWORD})
    headers = {
        "authorization": f"Bearer {person.token}",
        "content-type": "application/json",
        NUMBER.decode(): str(number),
    }
    sent = time.monotonic_ns()
    connection.request("POST", "/api/auth/two-factor/enable", body, headers)
    answer = connection.getresponse()
    answer.read()
    received = time.monotonic_ns()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"enable: {answer.status}")
    return sent, received


class Notes:
    """When a worker's threads worked; see `benchmarks.hosts.timed_serve.Notes`."""

    def __init__(self, directory: Path) -> None:
        works: Iterator[tuple[int, ...]] = records(directory / "works", 3)
        self._works = [(begun, ended, kind) for begun, ended, kind in works]
        self._works += [(begun, ended, LOOP) for begun, ended, _, _ in records(directory / "turns", 4)]

    def parts_of(self, enabled: Enabled) -> Mapping[str, int]:
        """Divide the time of a request by who works for it. Unit: nanoseconds."""
        begin, end = enabled.handed_over, enabled.answered
        works = [work for work in self._works if work[0] < end and work[1] > begin]
        edges = sorted({begin, end, *(min(max(edge, begin), end) for work in works for edge in work[:2])})
        parts: Counter[str] = Counter({TO_SERVER: enabled.waited - (end - begin)})
        for since, until in pairwise(edges):
            busy = {kind for begun, ended, kind in works if begun <= since and ended >= until}
            kind = next((kind for kind in _ORDER if kind in busy), None)
            parts[BETWEEN if kind is None else WORKS[kind]] += until - since
        return parts


def _table(enabled: Sequence[Enabled], notes: Notes) -> str:
    # The middle half: what the machine did to a single one is left out, and the parts still add up.
    middle = sorted(enabled, key=lambda each: each.waited / each.password_hash)
    middle = middle[len(middle) // 4 : len(middle) - len(middle) // 4]
    whole = statistics.mean(each.waited for each in middle)
    password_hash = statistics.mean(each.password_hash for each in middle)
    parts: Counter[str] = Counter()
    for each in middle:
        parts.update(notes.parts_of(each))

    def line(name: Any, nanoseconds: float) -> str:
        return f"| {name} | {nanoseconds / 1e6:.2f} | {nanoseconds / password_hash:.3f} |"

    return "\n".join(
        [
            "| where a request to enable two factors is | ms | in password hashes |",
            "| --- | ---: | ---: |",
            line("**anywhere**", whole),
            *(line(name, part / len(middle)) for name, part in parts.most_common()),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
