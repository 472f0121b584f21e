"""
Where the CPU time of an operation goes: ``make bench PROFILE=1``, or ``python -m benchmarks.breakdown [--write]``.

The application is called in this process, without a server or a client around it, on SQLite. What each thread used is
read from its own clock; the parts of the event loop and of the thread that writes are divided by a profile of that
thread, whose own cost is taken out in proportion. ``--write`` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import pyotp

from benchmarks import data, report
from benchmarks.growth.work import NoMail
from benchmarks.people_rows import PASSWORD, cpu_of_password_hash
from czo_auth import Auth
from czo_auth.core.context import Context
from czo_auth.core.flows.sign_in.sign_up import NewUser
from tests.support.scope import http_scope
from tests.support.statements import noted_statements

BEGIN, END = "<!-- breakdown: begin -->", "<!-- breakdown: end -->"
ROUNDS: Final = 5
CLIENTS: Final = 32
LOOP, WRITER, COMMITS = "the event loop", "the thread that writes", "COMMIT, the sync to disk included"
_THREADS = {
    "MainThread": LOOP,
    "czo-auth-hash": "the thread that hashes the password",
    "czo-auth-write": WRITER,
    "czo-auth-read": "the thread that reads",
}
_CRYPTOGRAPHY = "cryptography: sealing, TOTP, the signature"
_WEB = "FastAPI and Starlette"
_PACKAGES = {
    "fastapi": _WEB,
    "starlette": _WEB,
    "pydantic": "pydantic",
    "sqlalchemy": "SQLAlchemy",
    "cryptography": _CRYPTOGRAPHY,
    "joserfc": _CRYPTOGRAPHY,
    "asyncio": "asyncio",
}
_FOLDERS = {
    "storage": "the product's stores",
    "core": "the product's flows and rules",
    "crypto": _CRYPTOGRAPHY,
}
_OTHERS = "Python's own: JSON, dates, strings"
_PRODUCT = "the product around them"
_SQLITE = "SQLite, without COMMIT"
_FORGET = "UPDATE czo_auth_factors SET last_step = 0"


@dataclass(frozen=True)
class Operation:
    """
    Something that is done repeatedly.

    Attributes:
        act: Does it *each* times.
        each: How many.
    """

    act: Callable[[], Awaitable[None]]
    each: int


@dataclass(frozen=True)
class Breakdown:
    """
    CPU seconds of one operation by thread, and the parts of the two busiest threads, which add up to one.

    Attributes:
        statements: How many SQL statements one operation sends, without those that begin or end something.
    """

    threads: Mapping[str, float]
    parts: Mapping[str, Mapping[str, float]]
    hash_seconds: float
    statements: float


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print; *given* are the arguments, those of the command line if None."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.breakdown", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--only", help="operations whose name begins like this", default="")
    parser.add_argument("--functions", action="store_true", help="list the costliest functions too")
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="czo-breakdown-") as folder:
        url = f"sqlite:///{folder}/people.sqlite3"
        found = asyncio.run(_measured(url, arguments.only, functions=arguments.functions))
    text = _table(found)
    print(text)
    if arguments.write:
        report.replace_part(BEGIN, END, text)
    return 0


async def _measured(url: str, only: str, *, functions: bool) -> Mapping[str, Breakdown]:
    auth = Auth(data.settings(url, rate_limit_enabled=False), mail=NoMail())
    await auth.start()
    try:
        operations = {
            name: operation for name, operation in (await _operations(auth)).items() if name.startswith(only)
        }
        return {
            name: await _broken_down(auth, name, operation, functions=functions)
            for name, operation in operations.items()
        }
    finally:
        await auth.stop()


async def _operations(auth: Auth) -> Mapping[str, Operation]:
    person = await _Client.enrolled(auth, "person@example.com")
    writers = [await _Client.signed_in(auth, f"writer{number}@example.com") for number in range(CLIENTS)]
    beginner = await _Client.signed_in(auth, "beginner@example.com")
    for writer in writers:
        await writer.make_key()
    alone = writers[0]

    async def sign_ins() -> None:
        for _ in range(20):
            await person.sign_in()

    async def enables() -> None:
        for _ in range(10):
            await beginner.enable()

    async def write_one_by_one() -> None:
        for _ in range(200):
            await alone.rename_key()

    async def write_together() -> None:
        async def several(writer: _Client) -> None:
            for _ in range(20):
                await writer.rename_key()

        await asyncio.gather(*map(several, writers))

    async def keys() -> None:
        made = [await alone.make_key() for _ in range(20)]
        for key_id in made:
            await alone.revoke_key(key_id)

    return {
        "sign in with two factors": Operation(sign_ins, 20),
        "enable two factors": Operation(enables, 10),
        "a durable write, one client": Operation(write_one_by_one, 200),
        f"a durable write, {CLIENTS} clients": Operation(write_together, 20 * CLIENTS),
        "create an API key and revoke it": Operation(keys, 20),
    }


class _Client:
    """A user who calls the application."""

    def __init__(self, auth: Auth, email: str) -> None:
        self._auth = auth
        self._email = email
        self._secret = ""
        self._token = ""
        self._key_id = ""
        self._numbers = count(1)

    @classmethod
    async def signed_in(cls, auth: Auth, email: str) -> _Client:
        """Make an account and sign it in."""
        person = cls(auth, email)
        await auth.sign_up.create(
            NewUser(email=email, name="Somebody", password=PASSWORD),
            actor_types=(auth.services.actors.default,),
            email_verified=True,
            context=Context(now=auth.now(), ip=None, request_id="bench", method="cli"),
        )
        session = await person._call("POST", "/customer/sign-in/email", person._login())
        person._token = session["accessToken"]
        return person

    @classmethod
    async def enrolled(cls, auth: Auth, email: str) -> _Client:
        """Make an account and enroll it."""
        person = await cls.signed_in(auth, email)
        await person.enable()
        await person._call("POST", "/two-factor/verify", {"code": person._code()})
        return person

    async def enable(self) -> None:
        """Begin an enrollment."""
        begun = await self._call("POST", "/two-factor/enable", {"password": PASSWORD})
        self._secret = begun["secret"]

    async def sign_in(self) -> None:
        """Sign in: two requests."""
        await self._auth.services.transactions.run(_forget_spent_steps)
        begun = await self._call("POST", "/customer/sign-in/email", self._login(), bearer="")
        body = {"challenge": begun["challenge"], "code": self._code()}
        await self._call("POST", "/two-factor/verify", body, bearer="")

    async def make_key(self) -> str:
        """Create an API key, which `rename_key` renames from then on."""
        made = await self._call("POST", "/api-keys", {"name": "bench"}, status=201)
        self._key_id = made["apiKey"]["id"]
        return self._key_id

    async def rename_key(self) -> None:
        """Change the name of a key."""
        await self._call("PATCH", f"/api-keys/{self._key_id}", {"name": f"key {next(self._numbers)}"})

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key."""
        await self._call("DELETE", f"/api-keys/{key_id}", None, status=204)

    def _login(self) -> dict[str, str]:
        return {"email": self._email, "password": PASSWORD}

    def _code(self) -> str:
        return pyotp.TOTP(self._secret).now()

    async def _call(
        self, method: str, path: str, body: object, *, status: int = 200, bearer: str | None = None
    ) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        headers: list[tuple[bytes, bytes]] = []
        if body is not None:
            headers += [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
            ]
        if token := self._token if bearer is None else bearer:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._auth.app(http_scope(method, f"/api/auth{path}", headers), receive, send)
        answer = b"".join(message.get("body", b"") for message in sent[1:])
        if sent[0]["status"] != status:
            raise RuntimeError(f"{path}: {sent[0]['status']} {answer[:300]!r}")
        return json.loads(answer or b"null")


def _forget_spent_steps(tx: Any) -> None:
    # A code is accepted once, and the next one comes half a minute later.
    tx.connection.exec_driver_sql(_FORGET)


async def _broken_down(auth: Auth, name: str, operation: Operation, *, functions: bool) -> Breakdown:
    hashes, threads = [], []
    for number in range(ROUNDS + 1):
        hash_seconds = cpu_of_password_hash(5)
        used = await _by_thread(auth, operation)
        if number:
            hashes.append(hash_seconds)
            threads.append(used)
    names = sorted({thread for each in threads for thread in each})
    found = {thread: statistics.median(each.get(thread, 0.0) for each in threads) for thread in names}
    profiles = await _profiled(auth, operation)
    if functions:
        for thread, profile in profiles.items():
            print(f"\n{name}: {thread}")
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    parts = {thread: _by_part(profile) for thread, profile in profiles.items()}
    return Breakdown(found, parts, statistics.median(hashes), await _count_statements(auth, operation))


async def _settled(auth: Auth) -> None:
    """Wait for what was begun in the background: a notice by mail is part of its operation."""
    tasks: Sequence[asyncio.Task[None]] = list(auth._background._tasks)  # type: ignore[attr-defined]
    await asyncio.gather(*tasks, return_exceptions=True)


async def _by_thread(auth: Auth, operation: Operation) -> Mapping[str, float]:
    """Return the CPU time of one operation by thread. Unit: seconds."""
    before = _clocks()
    await operation.act()
    await _settled(auth)
    used: dict[str, float] = {}
    for (name, _), seconds in ((key, seconds - before.get(key, 0.0)) for key, seconds in _clocks().items()):
        used[name] = used.get(name, 0.0) + seconds / operation.each
    return used


async def _count_statements(auth: Auth, operation: Operation) -> float:
    """Count the statements of one operation, those of its notices by mail included."""
    with noted_statements() as sent:
        await operation.act()
        await _settled(auth)
    return sum(_FORGET not in each for each in sent) / operation.each


async def _profiled(auth: Auth, operation: Operation) -> Mapping[str, cProfile.Profile]:
    """Run it under a profile of each of the two threads, one after the other."""
    loop = cProfile.Profile(time.thread_time)
    loop.enable()
    await operation.act()
    await _settled(auth)
    loop.disable()
    writer = cProfile.Profile(time.thread_time)
    # A profile belongs to the thread that enables it, and outlasts the transaction of this step.
    await auth.services.transactions.run(lambda _: writer.enable())
    try:
        await operation.act()
        await _settled(auth)
    finally:
        await auth.services.transactions.run(lambda _: writer.disable())
    return {LOOP: loop, WRITER: writer}


def _clocks() -> dict[tuple[str, int], float]:
    found = {}
    for thread in threading.enumerate():
        if thread.ident is not None and thread.is_alive():
            clock = time.pthread_getcpuclockid(thread.ident)
            found[_name_of(thread), thread.ident] = time.clock_gettime(clock)
    return found


def _name_of(thread: threading.Thread) -> str:
    known = [name for part, name in _THREADS.items() if part in thread.name]
    return known[0] if known else "other threads"


def _by_part(profile: cProfile.Profile) -> Mapping[str, float]:
    """Divide a profile by the owner of the code, what is written in C by its caller; the parts add up to one."""
    parts: dict[str, float] = {}
    stats: Any = pstats.Stats(profile)
    for (file, _, function), (_, _, own, _, callers) in stats.stats.items():
        if "Profiler" in function or "'acquire'" in function or "poll" in function:
            continue
        if file != "~":
            shares = {_owner(file): own}
        elif "sqlite3" in function:
            shares = {COMMITS if "commit" in function else _SQLITE: own}
        else:
            shares = {}
            for (caller, _, _), (_, _, part, _) in callers.items():
                owner = _owner(caller)
                shares[owner] = shares.get(owner, 0.0) + part
        for part, seconds in shares.items():
            parts[part] = parts.get(part, 0.0) + seconds
    whole = sum(parts.values())
    return {name: own / whole for name, own in sorted(parts.items(), key=lambda each: -each[1])}


def _owner(file: str) -> str:
    folders = Path(file).parts
    if "czo_auth" in folders:
        below = folders[folders.index("czo_auth") + 1]
        return _FOLDERS.get(below, _PRODUCT)
    return next((name for package, name in _PACKAGES.items() if package in folders), _OTHERS)


def _table(found: Mapping[str, Breakdown]) -> str:
    lines = [
        "| operation | where | CPU ms | of it all | in password hashes |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for name, breakdown in found.items():
        whole = sum(breakdown.threads.values())
        lines.append(
            _line(f"**{name}**", f"all of it, {breakdown.statements:.0f} statements", whole, whole, breakdown)
        )
        for thread, seconds in sorted(breakdown.threads.items(), key=lambda each: -each[1]):
            if seconds < whole * 0.01:
                continue
            lines.append(_line("", thread, seconds, whole, breakdown))
            lines += [
                _line("", f"of that, {part}", seconds * share, whole, breakdown)
                for part, share in breakdown.parts.get(thread, {}).items()
                if share >= 0.03
            ]
    return "\n".join(lines)


def _line(name: str, where: str, seconds: float, whole: float, breakdown: Breakdown) -> str:
    hashes = seconds / breakdown.hash_seconds
    return f"| {name} | {where} | {seconds * 1000:.3f} | {seconds / whole:.0%} | {hashes:.3f} |"


if __name__ == "__main__":
    sys.exit(main())
