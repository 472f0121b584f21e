"""People: signing in with two factors, enabling, backup codes, and the latency of others while many enable at once."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pyotp

from benchmarks import data
from benchmarks.load import Load, paced
from benchmarks.measure import OURS, Row
from benchmarks.subjects import Subject, running
from czo_auth.crypto import codes, passwords

PASSWORD = "correct horse battery staple"
BURST = 50
PASSWORD_HASHES, _UNIT_BCRYPT = "x password hash", "bcrypts"
SETTLE_SECONDS = 1.2
_SESSION = "/api/auth/session"
_numbers = count(1)


@dataclass
class Person:
    """A user with an account."""

    email: str
    token: str = ""
    secret: str = ""
    codes: list[str] = field(default_factory=list)


class Service:
    """A running server, called by one client at a time."""

    def __init__(self, subject: Subject, database: Path) -> None:
        self.subject = subject
        self._database = database
        self._connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=60)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, method: str, path: str, body: object = None, *, bearer: str = "") -> tuple[int, Any, str]:
        """Send one request; return status, JSON and the session token that came with it."""
        headers = {"content-type": "application/json"} if body is not None else {}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        content = None if body is None else json.dumps(body)
        self._connection.request(method, "/api/auth" + path, content, headers)
        answer = self._connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw or b"null"), answer.getheader("set-auth-token") or ""

    def post(self, path: str, body: object, *, bearer: str = "", expect: int = 200) -> tuple[Any, str]:
        """Post, and require a status."""
        status, answer, token = self.call("POST", path, body, bearer=bearer)
        if status != expect:
            raise RuntimeError(f"{path}: {status} {answer}")
        return answer, token

    def newcomer(self) -> Person:
        """Sign a user up and in."""
        person = Person(f"bench{next(_numbers)}@example.com")
        account = {"email": person.email, "password": PASSWORD, "name": "Somebody"}
        self.post("/customer/sign-up", account, expect=201)
        _, person.token = self.post("/customer/sign-in/email", self.login(person))
        return person

    def login(self, person: Person) -> dict[str, str]:
        """Return the body of a user's sign-in."""
        return {"email": person.email, "password": PASSWORD}

    def new_key(self, person: Person) -> str:
        """Create an API key; return its id."""
        answer, _ = self.post("/api-keys", {"name": "bench"}, bearer=person.token, expect=201)
        return str(answer["apiKey"]["id"])

    def new_credential(self, person: Person) -> str:
        """Create an API key; return the key itself."""
        answer, _ = self.post("/api-keys", {"name": "bench"}, bearer=person.token, expect=201)
        return str(answer["apiKey"]["key"])

    def new_organization(self, person: Person) -> str:
        """Create an organization; return its id."""
        body = {"name": "Bench", "slug": f"bench{next(_numbers)}"}
        answer, _ = self.post("/organizations", body, bearer=person.token, expect=201)
        return str(answer["organization"]["id"])

    def user_id(self, person: Person) -> str:
        """Read the session."""
        _, answer, _ = self.call("GET", "/session", bearer=person.token)
        return str(answer["user"]["id"])

    def enable(self, person: Person) -> None:
        """Begin an enrollment."""
        shown, _ = self.post("/two-factor/enable", {"password": PASSWORD}, bearer=person.token)
        person.secret, person.codes = shown["secret"], shown["backupCodes"]

    def enrolled(self) -> Person:
        """Sign a user up, with a second factor."""
        person = self.newcomer()
        self.enable(person)
        _, person.token = self.post("/two-factor/verify", {"code": _code(person)}, bearer=person.token)
        return person

    def challenge(self, person: Person) -> str:
        """Send the password."""
        answer, _ = self.post("/customer/sign-in/email", self.login(person))
        return str(answer["challenge"])

    def sign_in(self, person: Person) -> None:
        """Sign in with two factors: two requests."""
        self.post("/two-factor/verify", {"challenge": self.challenge(person), "code": _code(person)})

    def forget_spent_steps(self) -> None:
        """Make the last code valid again, or every sign-in would have to wait half a minute."""
        connection = sqlite3.connect(self._database, timeout=10)
        with connection:
            connection.execute("UPDATE czo_auth_factors SET last_step = 0")
        connection.close()

    def cpu_of(self, work: Callable[[], object]) -> float:
        """Return the CPU time that the server spends on an action."""
        before = self.subject.cpu_seconds()
        work()
        return self.subject.cpu_seconds() - before


def rows(directory: Path, *, rounds: int, each: int) -> list[Row]:
    """Measure all of it on one server over SQLite."""
    with serving(directory) as service:
        return [
            *_sign_in_rows(service, rounds=rounds, each=each),
            *_enable_rows(service, rounds=rounds),
            *_backup_code_rows(service, rounds=rounds),
            *_burst_rows(service, rounds=max(2, rounds)),
        ]


@contextmanager
def serving(directory: Path, *, module: str = "czo_auth", **env: str) -> Iterator[Service]:
    """
    Serve on a new database in *directory*, with settings of *env* besides the usual ones.

    Args:
        module: Takes the place of ``czo_auth`` in ``python -m czo_auth serve``.
    """
    database = directory / "people.sqlite3"
    subject = Subject(
        OURS,
        [sys.executable, "-m", module, "serve", "--host", "127.0.0.1", "--port", "{port}"],
        env=data.environment(f"sqlite:///{database}", **env),
    )
    with running([subject], directory) as up:
        if not up:
            raise RuntimeError("czo-auth serve does not start")
        yield Service(subject, database)


def _sign_in_rows(service: Service, *, rounds: int, each: int) -> list[Row]:
    """Compare CPU times; the password hash is most of it."""
    people = [service.enrolled() for _ in range(3)]
    time.sleep(SETTLE_SECONDS)
    ratios, cpu, looping, rates = [], [], [], []

    def sign_ins() -> None:
        for number in range(each):
            if number % len(people) == 0:
                service.forget_spent_steps()
            service.sign_in(people[number % len(people)])

    for _ in range(rounds):
        hash_seconds = cpu_of_password_hash(each)
        begun, looped = time.perf_counter(), service.subject.event_loop_seconds()
        used = service.cpu_of(sign_ins) / each
        looping.append((service.subject.event_loop_seconds() - looped) / each * 1000)
        rates.append(2 * each / (time.perf_counter() - begun))
        cpu.append(used * 1e6)
        ratios.append(used / hash_seconds)
    return [
        Row(
            operation="sign-in with 2FA (two requests)",
            subject=OURS,
            database="sqlite",
            cpu_us=statistics.median(cpu),
            rps=statistics.median(rates),
            value=statistics.median(ratios),
            unit=PASSWORD_HASHES,
            target=1.25,
        ),
        Row(
            operation="of that, on the event loop",
            subject=OURS,
            database="sqlite",
            value=statistics.median(looping),
            unit="ms",
        ),
    ]


def _enable_rows(service: Service, *, rounds: int) -> list[Row]:
    """Compare waiting times: hashing after the response does not count."""
    ratios, confirms = [], []
    for _ in range(rounds):
        person = service.newcomer()
        time.sleep(0.1)
        hash_seconds = statistics.median(wall_of_password_hash() for _ in range(3))
        begun = time.perf_counter()
        service.enable(person)
        ratios.append((time.perf_counter() - begun) / hash_seconds)
        begun = time.perf_counter()
        service.post("/two-factor/verify", {"code": _code(person)}, bearer=person.token)
        confirms.append((time.perf_counter() - begun) * 1000)
        time.sleep(SETTLE_SECONDS)
    return [
        Row(
            operation="enable 2FA, until the answer",
            subject=OURS,
            database="sqlite",
            value=statistics.median(ratios),
            unit=PASSWORD_HASHES,
            target=1.4,
        ),
        Row(
            operation="confirm 2FA at once after enabling (ten bcrypts)",
            subject=OURS,
            database="sqlite",
            value=statistics.median(confirms),
            unit="ms",
        ),
    ]


def _backup_code_rows(service: Service, *, rounds: int) -> list[Row]:
    """Compare CPU times of the one request that verifies."""
    person = service.enrolled()
    time.sleep(SETTLE_SECONDS)
    found: dict[str, list[float]] = {"wrong": [], "unknown": [], "right": []}
    for _ in range(min(rounds, 5)):
        code = person.codes.pop()
        tried = {"wrong": _other_secret(code), "unknown": _other_selector(code), "right": code}
        bcrypt_seconds = _cpu_of_bcrypt()
        for what, text in tried.items():
            body = {"challenge": service.challenge(person), "code": text}
            path = "/two-factor/verify-backup-code"
            used = service.cpu_of(partial(service.call, "POST", path, body))
            found[what].append(used / bcrypt_seconds)
    return [
        Row(
            operation=f"verify a backup code, {what}",
            subject=OURS,
            database="sqlite",
            value=statistics.median(ratios),
            unit=_UNIT_BCRYPT,
            # One bcrypt and the rest of the request; the limit excludes a second one.
            target=1.25,
        )
        for what, ratios in found.items()
    ]


def _burst_rows(service: Service, *, rounds: int) -> list[Row]:
    """Compare another user's waiting with and without the burst, for arrivals over two seconds and all at once."""
    people = [service.newcomer() for _ in range(BURST)]
    other = service.newcomer()
    idle: list[float] = []
    ways: dict[str, tuple[float, float]] = {
        f"another user's p99, {BURST} enables within two seconds": (2.0, 2),
        f"another user's p99, {BURST} enables in the same instant": (0.0, 3),
    }
    ratios: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (within, _) in ways.items():
            calm = asyncio.run(paced(service.subject.port, _SESSION, other.token, seconds=3))
            busy = asyncio.run(_during_burst(service.subject.port, other.token, people, within=within))
            print(f"  {way}: {calm.p99:.1f} -> {busy.p99:.1f} ms", flush=True)
            idle.append(calm.p99)
            ratios[way].append(busy.p99 / calm.p99)
    return [
        Row(
            operation="another user's p99, idle",
            subject=OURS,
            database="sqlite",
            value=statistics.median(idle),
            unit="ms",
        ),
        *(
            Row(
                operation=way,
                subject=OURS,
                database="sqlite",
                value=statistics.median(ratios[way]),
                unit="x idle",
                target=target,
            )
            for way, (_, target) in ways.items()
        ),
    ]


async def _during_burst(port: int, token: str, people: list[Person], *, within: float) -> Load:
    measuring = asyncio.create_task(paced(port, _SESSION, token, seconds=4))

    async def arrive(number: int, person: Person) -> None:
        await asyncio.sleep(within * number / len(people))
        await enable_once(port, person)

    await asyncio.gather(*(arrive(number, person) for number, person in enumerate(people)))
    return await measuring


async def enable_once(port: int, person: Person) -> None:
    """
    Begin an enrollment over a connection of its own.

    Raises:
        RuntimeError: It was refused.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"password": PASSWORD})
    writer.write(
        f"POST /api/auth/two-factor/enable HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200" not in head.split(b"\r\n", 1)[0]:
        raise RuntimeError(head.decode())
    writer.close()


def _code(person: Person) -> str:
    return pyotp.TOTP(person.secret).now()


def _other_secret(code: str) -> str:
    return code[:-4] + ("0000" if code[-4:] != "0000" else "1111")


def _other_selector(code: str) -> str:
    return ("0000" if code[:4] != "0000" else "1111") + code[4:]


def cpu_of_password_hash(times: int) -> float:
    """Hash a password this many times; return the CPU time of one. Unit: seconds."""
    begun = time.thread_time()
    for _ in range(times):
        passwords.verify_password(passwords.DUMMY_HASH, PASSWORD)
    return (time.thread_time() - begun) / times


def wall_of_password_hash() -> float:
    """Hash a password; return how long it took. Unit: seconds."""
    begun = time.perf_counter()
    passwords.verify_password(passwords.DUMMY_HASH, PASSWORD)
    return time.perf_counter() - begun


def _cpu_of_bcrypt() -> float:
    (code,) = codes.new_codes(1)
    begun = time.thread_time()
    for _ in range(2):
        codes.hash_code(code)
    return (time.thread_time() - begun) / 2
