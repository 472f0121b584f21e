"""
Where the CPU time of a sign-in with two factors goes: ``python -m benchmarks.sign_in [--write]``.

The application is called in this process, without a server or a client around it, on SQLite. What each thread used is
read from its own clock; the event loop's part is divided by a profile of that thread, whose own cost is taken out in
proportion. ``--write`` puts the table into docs/performance.md.
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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyotp

from benchmarks import data, report
from benchmarks.growth.work import NoMail
from benchmarks.people_rows import PASSWORD, cpu_of_password_hash
from czo_auth import Auth
from czo_auth.core.context import Context
from czo_auth.core.flows.sign_in.sign_up import NewUser

BEGIN, END = "<!-- sign-in: begin -->", "<!-- sign-in: end -->"
TIMES, ROUNDS = 20, 5
_THREADS = {
    "MainThread": "the event loop",
    "czo-auth-hash": "the thread that hashes the password",
    "czo-auth-write": "the thread that writes",
    "czo-auth-read": "the thread that reads",
}
_PACKAGES = {
    "fastapi": "FastAPI and Starlette",
    "starlette": "FastAPI and Starlette",
    "pydantic": "pydantic",
    "czo_auth": "the product",
    "sqlalchemy": "SQLAlchemy",
    "cryptography": "cryptography: sealing, TOTP, the signature",
    "joserfc": "cryptography: sealing, TOTP, the signature",
    "asyncio": "asyncio",
}
_OTHERS = "Python's own: JSON, dates, strings"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sign_in", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    writes = parser.parse_args().write
    with tempfile.TemporaryDirectory(prefix="czo-sign-in-") as folder:
        text = asyncio.run(_measured(f"sqlite:///{folder}/people.sqlite3"))
    print(text)
    if writes:
        page = report.PAGE.read_text()
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        report.PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")
    return 0


async def _measured(url: str) -> str:
    auth = Auth(data.settings(url, rate_limit_enabled=False), mail=NoMail())
    await auth.start()
    try:
        person = await _Person.enrolled(auth)
        hashes, threads = [], []
        for number in range(ROUNDS + 1):
            hash_seconds = cpu_of_password_hash(TIMES)
            used = await _by_thread(person)
            if number:
                hashes.append(hash_seconds)
                threads.append(used)
        profile = cProfile.Profile(time.thread_time, builtins=False)
        profile.enable()
        for _ in range(TIMES):
            await person.sign_in()
        profile.disable()
    finally:
        await auth.stop()
    names = sorted({name for each in threads for name in each})
    found = {name: statistics.median(each.get(name, 0.0) for each in threads) for name in names}
    return _table(found, statistics.median(hashes), _by_package(profile))


class _Person:
    """A user with two factors, who signs in repeatedly."""

    def __init__(self, auth: Auth, email: str) -> None:
        self._auth = auth
        self._email = email
        self._secret = ""

    @classmethod
    async def enrolled(cls, auth: Auth) -> _Person:
        """Make an account and enroll it."""
        person = cls(auth, "person@example.com")
        await auth.sign_up.create(
            NewUser(email=person._email, name="Somebody", password=PASSWORD),
            actor_types=(auth.services.actors.default,),
            email_verified=True,
            context=Context(now=auth.now(), ip=None, request_id="bench", method="cli"),
        )
        session = await person._post("/customer/sign-in/email", person._login())
        token = session["accessToken"]
        begun = await person._post("/two-factor/enable", {"password": PASSWORD}, bearer=token)
        person._secret = begun["secret"]
        await person._post("/two-factor/verify", {"code": person._code()}, bearer=token)
        return person

    async def sign_in(self) -> None:
        """Sign in: two requests."""
        await self._auth.services.transactions.run(_forget_spent_steps)
        begun = await self._post("/customer/sign-in/email", self._login())
        await self._post("/two-factor/verify", {"challenge": begun["challenge"], "code": self._code()})

    def _login(self) -> dict[str, str]:
        return {"email": self._email, "password": PASSWORD}

    def _code(self) -> str:
        return pyotp.TOTP(self._secret).now()

    async def _post(self, path: str, body: object, *, bearer: str = "") -> Any:
        content = json.dumps(body).encode()
        headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json")]
        headers.append((b"content-length", str(len(content)).encode()))
        if bearer:
            headers.append((b"authorization", f"Bearer {bearer}".encode()))
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._auth.app(_scope(path, headers), receive, send)
        answer = b"".join(message.get("body", b"") for message in sent[1:])
        if sent[0]["status"] != 200:
            raise RuntimeError(f"{path}: {sent[0]['status']} {answer[:300]!r}")
        return json.loads(answer)


def _scope(path: str, headers: list[tuple[bytes, bytes]]) -> Any:
    return {
        "type": "http",
        "method": "POST",
        "path": f"/api/auth{path}",
        "raw_path": f"/api/auth{path}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
    }


def _forget_spent_steps(tx: Any) -> None:
    # A code is accepted once, and the next one comes half a minute later.
    tx.connection.exec_driver_sql("UPDATE czo_auth_factors SET last_step = 0")


async def _by_thread(person: _Person) -> Mapping[str, float]:
    """Return the CPU time of one sign-in by thread. Unit: seconds."""
    before = _clocks()
    for _ in range(TIMES):
        await person.sign_in()
    used: dict[str, float] = {}
    for (name, _), seconds in ((key, seconds - before.get(key, 0.0)) for key, seconds in _clocks().items()):
        used[name] = used.get(name, 0.0) + seconds / TIMES
    return used


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


def _by_package(profile: cProfile.Profile) -> Mapping[str, float]:
    """Divide a profile by the owner of the code; the parts add up to one."""
    parts: dict[str, float] = {}
    stats: Any = pstats.Stats(profile)
    for (file, _, _), (_, _, own, _, _) in stats.stats.items():
        folders = set(Path(file).parts)
        name = next((name for package, name in _PACKAGES.items() if package in folders), _OTHERS)
        parts[name] = parts.get(name, 0.0) + own
    whole = sum(parts.values())
    return {name: own / whole for name, own in sorted(parts.items(), key=lambda each: -each[1])}


def _table(threads: Mapping[str, float], hash_seconds: float, packages: Mapping[str, float]) -> str:
    whole = sum(threads.values())
    lines = [
        "| where | CPU ms a sign-in | in password hashes |",
        "| --- | ---: | ---: |",
        _line("all of it", whole, hash_seconds),
    ]
    for name, seconds in sorted(threads.items(), key=lambda each: -each[1]):
        lines.append(_line(name, seconds, hash_seconds))
        if name == "the event loop":
            lines += [
                _line(f"of that, {package}", seconds * part, hash_seconds)
                for package, part in packages.items()
                if part >= 0.02
            ]
    return "\n".join(lines)


def _line(what: str, seconds: float, hash_seconds: float) -> str:
    return f"| {what} | {seconds * 1000:.2f} | {seconds / hash_seconds:.3f} |"


if __name__ == "__main__":
    sys.exit(main())
