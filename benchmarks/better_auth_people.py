"""better-auth's sign-in with two factors and its enabling, against its own password hash."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp

from benchmarks import peers
from benchmarks.measure import Row
from benchmarks.subjects import Subject, running

NAME = "better-auth"
PASSWORD = "correct horse battery staple"
ENABLE_NOTE = "codes are encrypted, not hashed"
_HASHES = 8
_numbers = count(1)


class Person:
    """A browser: one connection and its cookies."""

    def __init__(self, port: int) -> None:
        self._origin = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}
        self._email = f"bench{next(_numbers)}@example.com"
        self._secret = ""

    def _post(self, path: str, body: dict[str, str]) -> dict[str, object]:
        headers = {"content-type": "application/json", "origin": self._origin}
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request("POST", f"/api/auth{path}", json.dumps(body), headers)
        answer = self._connection.getresponse()
        for line in answer.headers.get_all("set-cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        raw = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{NAME}: {path}: {answer.status} {raw[:200]!r}")
        return dict(json.loads(raw))

    def sign_up(self) -> None:
        """Make the account."""
        self._post("/sign-up/email", {"email": self._email, "password": PASSWORD, "name": "Somebody"})

    def enable(self) -> None:
        """Ask for a secret and codes."""
        shown = self._post("/two-factor/enable", {"password": PASSWORD})
        self._secret = parse_qs(urlsplit(str(shown["totpURI"])).query)["secret"][0]

    def confirm(self) -> None:
        """Send the first code."""
        self._post("/two-factor/verify-totp", {"code": pyotp.TOTP(self._secret).now()})

    def sign_in(self) -> None:
        """Sign in with two requests. better-auth accepts a code again, so there is no wait for the next one."""
        self._cookies.clear()
        self._post("/sign-in/email", {"email": self._email, "password": PASSWORD})
        self.confirm()

    def hash(self, times: int) -> None:
        """Let the server verify a password *times* times, and do nothing else."""
        self._connection.request("GET", f"/hash?times={times}")
        if self._connection.getresponse().read() != b"true":
            raise RuntimeError(f"{NAME}: the hash was not verified")


def rows(directory: Path, *, rounds: int, each: int) -> list[Row]:
    """Measure both on SQLite; nothing if better-auth is not available."""
    node = peers.node()
    if node is None:
        return []
    subject = Subject(
        NAME,
        [peers.node_program(), str(node / "better_auth.mjs")],
        env={"BENCH_DATABASE_URL": str(directory / "people.sqlite3"), "NODE_ENV": "production"},
        is_peer=True,
    )
    with running([subject], directory) as up:
        return _measured(subject, rounds=rounds, each=each) if up else []


def _measured(subject: Subject, *, rounds: int, each: int) -> list[Row]:
    def cpu_of(work: Callable[[], None]) -> float:
        before = subject.cpu_seconds()
        work()
        return subject.cpu_seconds() - before

    def sign_ins() -> None:
        for _ in range(each):
            person.sign_in()

    person = Person(subject.port)
    person.sign_up()
    person.enable()
    person.confirm()
    person.sign_in()
    signing_in, cpu, enabling = [], [], []
    for _ in range(rounds):
        hash_cpu = cpu_of(lambda: person.hash(_HASHES)) / _HASHES
        used = cpu_of(sign_ins) / each
        cpu.append(used * 1e6)
        signing_in.append(used / hash_cpu)
        other = Person(subject.port)
        other.sign_up()
        hash_wall = statistics.median(_wall_of(lambda: person.hash(1)) for _ in range(3))
        enabling.append(_wall_of(other.enable) / hash_wall)
    unit = "x its password hash"
    return [
        Row(
            operation="sign-in with 2FA (two requests)",
            subject=NAME,
            database="sqlite",
            cpu_us=statistics.median(cpu),
            value=statistics.median(signing_in),
            unit=unit,
        ),
        Row(
            operation="enable 2FA, until the answer",
            subject=NAME,
            database="sqlite",
            value=statistics.median(enabling),
            unit=unit,
            note=ENABLE_NOTE,
        ),
    ]


def _wall_of(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
