"""
The proof that what was taken away is gone everywhere: load from many connections, changes, and what came through.

A request counts as late when it began after the answer to a change and was let in all the same.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from czo_auth import Auth, Settings
from tests.attacks.history import Act, History, Operation, Outcome
from tests.attacks.removable import Credential
from tests.attacks.removals import Change, changes_on
from tests.support.ports import free_port
from tests.support.tethered import tethered

KEY = "Y+9Wxk8PqkA1laOUTQYqe91LfiQ1L3Wnl87wz+g0CwU="
# With a name, because an address can have no passkeys.
ISSUER = "http://localhost:8000"
ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 4
REFUSALS = (401, 403, 429)


@dataclass
class Proof:
    """
    What was seen.

    Attributes:
        after: Requests that began after the change that ended their credential.
        late: Seconds after the change, of requests that were let in.
        late_kinds: How many those were, by the kind of the change.
        history: All that happened to each credential.
    """

    requests: int = 0
    after: int = 0
    faults: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    late_kinds: Counter[str] = field(default_factory=Counter)
    changes: dict[str, int] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def late_at(self, share: float) -> float:
        """Give how long the last late request of a change came after it, for *share* of all late ones."""
        return sorted(self.late)[min(len(self.late) - 1, int(len(self.late) * share))] if self.late else 0.0


def settings_of(database_url: str) -> Settings:
    """Give the settings of the processes under proof."""
    return Settings(
        database_url=database_url,
        encryption_key=SecretStr(KEY),
        base_url=ISSUER,
        rate_limit_enabled=False,
    )


async def prepare(database_url: str, each: int) -> list[Change]:
    """Make people with keys and sessions, *each* for every kind of change; gives the changes in random order."""
    auth = Auth(settings_of(database_url))
    await auth.open()
    try:
        return await changes_on(auth, each)
    finally:
        await auth.stop()


@asynccontextmanager
async def serving(
    database_url: str, directory: Path, *, workers: int = PROCESSES, env: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Run the host in several processes; gives its port."""
    port = free_port()
    options = f"--interface asgi --host 127.0.0.1 --port {port} --workers {workers} --no-ws"
    command = [sys.executable, "-m", "granian", *options.split(), "tests.attacks.guarded_host:app"]
    log = directory / "host.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
            tethered(command, signal=signal.SIGTERM),
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin",
                "AUTH_ENCRYPTION_KEY": KEY,
                "CZO_AUTH_DATABASE_URL": database_url,
                "CZO_AUTH_BASE_URL": ISSUER,
                "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
                **(env or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await _until_it_listens(port, log)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Shown when the test fails: why a request got 503.
        causes = Counter(line for line in log.read_text().splitlines() if "unavailable" in line)
        print(*(f"{count} x {line}" for line, count in causes.items()), sep="\n")


async def _until_it_listens(port: int, log: Path) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        # The first worker listens; give the others the time to come.
        await asyncio.sleep(1)
        return
    raise AssertionError(f"the host does not start:\n{_text(log)}")


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


async def prove(
    port: int, changes: list[Change], *, seconds: float, connections: int = 24, bound: float = 0.0
) -> Proof:
    """
    Spread *changes* over *seconds* under load, and go on for a moment.

    Each change waits until every connection has used what it takes, so that every process remembers it.

    Args:
        bound: What came through so long after a change is late but allowed; the load goes on beyond it.
    """
    proof = Proof()
    load = _Load(port, changes, proof)
    running = [asyncio.create_task(load.run()) for _ in range(connections)]
    try:
        await asyncio.sleep(0.3)
        for change in changes:
            await load.use_everywhere(change)
            await _carry_out(port, change, proof)
            await asyncio.sleep(seconds / len(changes))
        await asyncio.sleep(max(change.delay for change in changes) + bound + 0.5)
    finally:
        load.over.set()
        await asyncio.gather(*running)
    return proof


async def _carry_out(port: int, change: Change, proof: Proof) -> None:
    connection = await _Connection.open(port)
    content = change.content()
    begun = time.monotonic()
    for credential in change.takes:
        credential.asked_at = begun
    status = await connection.ask(change.method, f"/api/auth{change.path}", change.bearer, content)
    gone_at = max(time.monotonic(), begun + change.delay)
    connection.close()
    if status != change.status:
        proof.faults.append(f"{change.kind}: {status}")
        return
    for credential in change.takes:
        credential.gone_at = gone_at
        _write_down(proof, "revoke", credential, "ok", begun, gone_at)
    proof.changes[change.kind] = proof.changes.get(change.kind, 0) + 1


def _write_down(
    proof: Proof, act: Act, credential: Credential, outcome: Outcome, begun: float, ended: float
) -> None:
    if credential.spared:
        # A limit of one use may be refused by one process and let in by another.
        return
    proof.history.operations.append(
        Operation(act=act, thing=credential.name, outcome=outcome, invoked=begun, answered=ended)
    )


class _Load:
    """Requests from many connections, most of them with what the change takes that is made now."""

    def __init__(self, port: int, changes: Sequence[Change], proof: Proof) -> None:
        self.over = asyncio.Event()
        self._port = port
        self._proof = proof
        self._all = [credential for change in changes for credential in change.takes]
        self._current: Sequence[Credential] = ()
        self._connections = 0
        self._unused: dict[int, list[Credential]] = {}
        """What each connection, by its number, has still to use before the change is made."""
        self._unanswered = 0
        self._is_used = asyncio.Event()
        self._let_in: Counter[str] = Counter()

    async def use_everywhere(self, change: Change) -> None:
        """Use what *change* takes on every connection."""
        self._current = change.takes
        self._unused = {number: list(change.takes) for number in range(self._connections)}
        self._unanswered = self._connections * len(change.takes)
        self._is_used.clear()
        try:
            await asyncio.wait_for(self._is_used.wait(), 30)
        except TimeoutError:
            self._proof.faults.append(f"{change.kind}: not used by every connection")

    async def run(self) -> None:
        """Send requests on one connection until it is over."""
        number = self._connections
        self._connections += 1
        connection = await _Connection.open(self._port)
        while not self.over.is_set():
            if unused := self._unused.get(number):
                await self._use(connection, unused.pop())
                self._unanswered -= 1
                if not self._unanswered:
                    self._is_used.set()
            else:
                is_current = self._current and random.random() < 0.8
                await self._use(connection, random.choice(self._current if is_current else self._all))
        connection.close()

    async def _use(self, connection: _Connection, credential: Credential) -> None:
        proof, gone_at, begun = self._proof, credential.gone_at, time.monotonic()
        status = await connection.ask("GET", credential.path, credential.text)
        _write_down(proof, "use", credential, "ok" if status == 200 else "refused", begun, time.monotonic())
        proof.requests += 1
        if status not in (200, *REFUSALS):
            proof.faults.append(f"{status} for a request")
        if gone_at is None or begun < gone_at:
            # A change may be under way; only that it was not let in *before* one is a fault.
            if status != 200 and credential.asked_at is None:
                proof.faults.append(f"{status} for a credential that nobody took away: {credential.name}")
            return
        proof.after += 1
        if status == 200:
            self._let_in[credential.name] += 1
            if self._let_in[credential.name] > credential.spared * PROCESSES:
                proof.late.append(begun - gone_at)
                proof.late_kinds[credential.kind] += 1


class _Connection:
    """One kept connection, which stays with one process of the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, bearer: str, body: object | None = None) -> int:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        if bearer:
            lines.append(f"Authorization: Bearer {bearer}")
        content = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        for line in head.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await self._reader.readexactly(int(line.partition(b":")[2]))
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        self._writer.close()
