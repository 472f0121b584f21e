"""
Today's commit against an older one in the same run: ``make bench BASE=0afd699``.

Both are served at the same time, each by the packages that it locked, on databases with the same rows; they get load
in turn, and each figure is today's divided by the older one's in the same round, as a median. The addresses, bodies and
settings that are used here are the contract's, which both keep.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from benchmarks import data
from benchmarks.credentials_rows import (
    FIRST_SIGHT,
    REMEMBERED,
    SEEN,
    UNCACHED,
    Plan,
    forgetful,
    hello,
    loaded,
)
from benchmarks.measure import OURS, Row, Series, in_rounds
from benchmarks.older import Older
from benchmarks.people_rows import SETTLE_SECONDS, Person, Service
from benchmarks.subjects import Subject, granian, running

CLIENTS = 32
_TODAY = "today"
_SIDES = (_TODAY, "older")
_OF_TODAY = "x the older commit"
WORKERS = {1: "", 4: ", four workers"}
"""How many workers serve the durable writes, and how the names of the rows say so."""
_WRITES = {
    f"time of a durable write, {CLIENTS} clients": 0.25,
    "time of a durable write, one client": 0.77,
    f"p99 of a durable write, {CLIENTS} clients": 0.5,
}
"""What is measured of them, in this order, with the target."""


@dataclass(frozen=True)
class Side:
    """
    One of the two commits.

    Attributes:
        root: The files that it is served from.
        python: Its interpreter.
    """

    name: str
    root: Path
    python: Path
    database: Path
    keys: Path
    busy: Path

    @property
    def env(self) -> dict[str, str]:
        return data.environment(f"sqlite:///{self.database}")

    def middleware(self, what: str, tokens: Path, **env: str) -> Subject:
        """Serve hello behind the middleware."""
        return Subject(
            f"{what}: {self.name}",
            granian("benchmarks.hosts.ours:app", python=self.python),
            env={**self.env, **env},
            tokens=tokens,
            root=self.root,
        )

    def server(self, *, workers: int = 1) -> Subject:
        """Serve the product itself."""
        command = [str(self.python), "-m", "czo_auth", "serve", "--host", "127.0.0.1", "--port", "{port}"]
        command += ["--workers", str(workers)]
        return Subject(f"server: {self.name}", command, env=self.env, root=self.root)


def rows(plan: Plan, directory: Path, base: Older) -> list[Row]:
    """Measure what both commits support."""
    sides = list(_prepared(plan, directory, base))
    found = [*_credential_rows(plan, directory, sides, base), *_people_rows(plan, directory, sides, base)]
    for workers in WORKERS:
        times = write_times(plan, directory, sides, workers=workers)
        found += write_rows(times, workers=workers, commit=base.commit)
    return found


def _prepared(plan: Plan, directory: Path, base: Older) -> Iterator[Side]:
    keys = plan.sizes[-1]
    with loaded(keys, directory, None) as today:
        ours = Path(today.url.removeprefix("sqlite:///"))
        yield Side(_TODAY, Path(__file__).parents[1], Path(sys.executable), ours, today.tokens, today.busy)
    theirs = directory / "older.sqlite3"
    side = Side("older", base.root, base.python, theirs, today.tokens, today.busy)
    base.migrate({"PATH": "/usr/bin:/bin", **side.env})
    data.fill_sqlite(theirs, data.our_tables(keys, sessions=data.SAMPLE, now=data.now()))
    yield side


def _credential_rows(plan: Plan, directory: Path, sides: Sequence[Side], base: Older) -> list[Row]:
    with _services(directory, sides) as services:
        tokens = {side.name: _access_tokens(services[side.name], directory, side) for side in sides}
    subjects = [hello()]
    for side in sides:
        subjects += [
            side.middleware(UNCACHED, side.keys, **forgetful()),
            side.middleware(REMEMBERED, side.busy),
            side.middleware(FIRST_SIGHT, tokens[side.name], **forgetful()),
            side.middleware(SEEN, tokens[side.name]),
        ]
    with running(subjects, directory) as up:
        series = in_rounds(up, rounds=plan.rounds, seconds=plan.seconds)
    return [
        _credential_row(what, series, plan.sizes[-1], base)
        for what in (UNCACHED, REMEMBERED, FIRST_SIGHT, SEEN)
    ]


def _credential_row(what: str, series: dict[str, Series], keys: int, base: Older) -> Row:
    today, before = (series[f"{what}: {side}"] for side in _SIDES)
    return Row(
        operation=what,
        subject=OURS,
        database="sqlite",
        keys=keys,
        cpu_us=today.cpu,
        rps=today.rate,
        value=today.ratio_to(before),
        unit=_OF_TODAY,
        note=f"against {base.commit}; CPU time",
    )


@contextmanager
def _services(directory: Path, sides: Sequence[Side], *, workers: int = 1) -> Iterator[dict[str, Service]]:
    subjects = {side.name: side.server(workers=workers) for side in sides}
    with running(list(subjects.values()), directory) as up:
        if len(up) != len(subjects):
            raise RuntimeError("not both commits start")
        services = {side.name: Service(subjects[side.name], side.database) for side in sides}
        try:
            yield services
        finally:
            for service in services.values():
                service.close()


def _access_tokens(service: Service, directory: Path, side: Side) -> Path:
    """Sign in, and refresh to get several tokens; each of them is verified by its signature."""
    answer = _signed_in(service)
    lines = [answer["accessToken"]]
    while len(lines) < data.BUSY // 5:
        answer, _ = service.post("/token/refresh", {"refreshToken": answer["refreshToken"]})
        lines.append(answer["accessToken"])
    return data.write_lines(directory / f"tokens-{side.name}.txt", lines)


def _signed_in(service: Service) -> dict[str, str]:
    person = service.newcomer()
    answer, _ = service.post("/customer/sign-in/email", service.login(person))
    return dict(answer)


def _people_rows(plan: Plan, directory: Path, sides: Sequence[Side], base: Older) -> list[Row]:
    each = 4 if plan.rounds < 5 else 10
    with _services(directory, sides) as services:
        work: dict[str, dict[str, Callable[[], object]]] = {
            side: _operations(service, each) for side, service in services.items()
        }
        cpu: dict[str, dict[str, list[float]]] = {
            what: {side: [] for side in _SIDES} for what in work[_TODAY]
        }
        for number in range(plan.rounds + 1):
            for side, service in services.items():
                for what, act in work[side].items():
                    used = service.cpu_of(act) / each
                    if number:
                        cpu[what][side].append(used)
            print(f"  round {number}/{plan.rounds} of the people", flush=True)
        waits = _enabling_waits(services, rounds=plan.rounds)
    return [
        *(
            _ratio_row(what, values, base.commit, unit_of_today=1e6, note="CPU time")
            for what, values in cpu.items()
        ),
        _ratio_row("enable 2FA, until the answer", waits, base.commit, note="wall time"),
    ]


def _enabling_waits(services: Mapping[str, Service], *, rounds: int) -> dict[str, list[float]]:
    """Enable two factors for users of both sides in turn; return the seconds until the answer by side."""
    waits: dict[str, list[float]] = {side: [] for side in services}
    for number in range(2 * rounds + 1):
        for side, service in services.items():
            person = service.newcomer()
            time.sleep(SETTLE_SECONDS)
            begun = time.perf_counter()
            service.enable(person)
            if number:
                waits[side].append(time.perf_counter() - begun)
            # The codes are hashed afterwards; the other side's turn comes when that is over.
            time.sleep(SETTLE_SECONDS)
    return waits


def write_times(
    plan: Plan, directory: Path, sides: Sequence[Side], *, workers: int
) -> dict[str, list[tuple[float, float, float]]]:
    """Measure the durable writes of both sides in turn; return the seconds of each round by side."""
    times: dict[str, list[tuple[float, float, float]]] = {side: [] for side in _SIDES}
    with _services(directory, sides, workers=workers) as services:
        writers = {side: _Writers(service) for side, service in services.items()}
        for number in range(plan.rounds + 1):
            for side in _SIDES:
                many, slowest = writers[side].write(CLIENTS, seconds=plan.seconds)
                one, _ = writers[side].write(1, seconds=plan.seconds)
                if number:
                    times[side].append((many, one, slowest))
            print(f"  round {number}/{plan.rounds} of the writes{WORKERS[workers]}", flush=True)
    return times


def write_rows(
    times: Mapping[str, Sequence[tuple[float, float, float]]], *, workers: int, commit: str
) -> list[Row]:
    """
    Compare the durable writes of both sides.

    Args:
        times: Seconds of each round by side: a write of many clients, one of a single client, the p99 of many.
        commit: The older one.
    """
    return [
        _ratio_row(
            what + WORKERS[workers],
            {side: [seconds[place] for seconds in rounds] for side, rounds in times.items()},
            commit,
            target=target,
            note="wall time",
        )
        for place, (what, target) in enumerate(_WRITES.items())
    ]


def _ratio_row(
    what: str,
    values: Mapping[str, Sequence[float]],
    commit: str,
    *,
    note: str,
    target: float | None = None,
    unit_of_today: float | None = None,
) -> Row:
    today = values[_TODAY]
    ratios = [mine / theirs for mine, theirs in zip(today, values["older"], strict=True)]
    return Row(
        operation=what,
        subject=OURS,
        database="sqlite",
        cpu_us=None if unit_of_today is None else statistics.median(today) * unit_of_today,
        value=statistics.median(ratios),
        unit=_OF_TODAY,
        target=target,
        note=f"against {commit}; {note}",
    )


def _operations(service: Service, each: int) -> dict[str, Callable[[], object]]:
    """Do the work of one round: the same number of requests on either side."""
    person = service.enrolled()
    owner = service.newcomer()
    chain = _signed_in(service)

    def sign_ins() -> None:
        for _ in range(each):
            service.forget_spent_steps()
            service.sign_in(person)

    def refreshes() -> None:
        for _ in range(each):
            answer, _ = service.post("/token/refresh", {"refreshToken": chain["refreshToken"]})
            chain.update(answer)

    def keys() -> None:
        made = [service.new_key(owner) for _ in range(each)]
        for key_id in made:
            service.call("DELETE", f"/api-keys/{key_id}", bearer=owner.token)

    return {
        "sign-in with 2FA (two requests)": sign_ins,
        "create an API key and revoke it": keys,
        "refresh an access token": refreshes,
    }


class _Writers:
    """Clients that change the names of keys: one durable write each, with its audit record."""

    def __init__(self, service: Service) -> None:
        self._port = service.subject.port
        self._requests = deque(partial(_rename, *_owner(service)) for _ in range(CLIENTS))

    def write(self, clients: int, *, seconds: float) -> tuple[float, float]:
        """
        Write for a while; return seconds per write, and the 99th percentile of a client's waiting time in seconds.
        """
        # Another owner each time: what one user changes in a day has a limit.
        self._requests.rotate()
        return asyncio.run(self._write(clients, seconds))

    async def _write(self, clients: int, seconds: float) -> tuple[float, float]:
        waits: list[float] = []
        end = time.monotonic() + seconds

        async def client(request: Callable[[int], bytes]) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            number = time.monotonic_ns()
            while time.monotonic() < end:
                number += 1
                begun = time.perf_counter()
                writer.write(request(number))
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                body = await reader.readexactly(int(length.partition(b":")[2]))
                if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
                    raise RuntimeError(f"a write failed: {body[:200]!r}")
                waits.append(time.perf_counter() - begun)
            writer.close()

        begun = time.perf_counter()
        await asyncio.gather(*(client(request) for request in islice(self._requests, clients)))
        taken = time.perf_counter() - begun
        waits.sort()
        return taken / len(waits), waits[int(len(waits) * 0.99)]


def _owner(service: Service) -> tuple[Person, str]:
    owner = service.newcomer()
    return owner, service.new_key(owner)


def _rename(owner: Person, key_id: str, number: int) -> bytes:
    body = json.dumps({"name": f"key {number}"})
    return (
        f"PATCH /api/auth/api-keys/{key_id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
