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
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from czo_auth import Auth, Settings
from czo_auth.core.sessions.session import Session
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens
from tests.attacks.history import Act, History, Operation, Outcome
from tests.support.ports import free_port
from tests.support.rows import Rows
from tests.support.tethered import tethered

KEY = "Y+9Wxk8PqkA1laOUTQYqe91LfiQ1L3Wnl87wz+g0CwU="
ISSUER = "http://127.0.0.1:8000"
ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    *("key revoked", "owner banned", "member removed", "admin lost 2FA", "session revoked"),
    *("service account disabled", "service account deleted", "service account's key switched off"),
)


@dataclass
class Credential:
    """Something that can be taken away."""

    text: str
    gone_at: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Change:
    """One request that takes something away, and what it takes."""

    kind: str
    method: str
    path: str
    bearer: str
    body: object | None
    takes: list[Credential]


@dataclass
class Proof:
    """
    What was seen. ``late`` has seconds after the change's answer, of requests that were let in; ``history`` all that
    happened to each credential.
    """

    requests: int = 0
    after: int = 0
    faults: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    changes: dict[str, int] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def late_at(self, share: float) -> float:
        """Give how long the last late request of a change came after it, for *share* of all late ones."""
        return sorted(self.late)[min(len(self.late) - 1, int(len(self.late) * share))] if self.late else 0.0


def settings_of(database_url: str) -> Settings:
    """Give the settings of the processes under proof."""
    return Settings(database_url=database_url, encryption_key=SecretStr(KEY), base_url=ISSUER)


async def prepare(database_url: str, each: int) -> list[Change]:
    """Make people with keys and sessions, *each* for every kind of change; gives the changes in random order."""
    auth = Auth(settings_of(database_url))
    await auth.open()
    try:
        return await _People(auth).changes(each)
    finally:
        await auth.stop()


class _People:
    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._things = Rows(auth.storage)

    async def changes(self, each: int) -> list[Change]:
        administrator = await self._administrator()
        by_admin = (await self._session(administrator, "admin")).text
        found = []
        for _ in range(each):
            found += [
                await self._key_revoked(),
                await self._owner_banned(by_admin),
                await self._member_removed(),
                await self._admin_lost_factor(by_admin),
                await self._session_revoked(),
                await self._service_account_disabled(),
                await self._service_account_deleted(),
                await self._service_account_key_switched_off(),
            ]
        random.shuffle(found)
        return found

    async def _administrator(self) -> User:
        user = await self._things.user(actor_types=frozenset({"customer", "admin"}))
        await self._things.factor(user)
        return user

    async def _key(self, user: User, organization_id: str | None = None) -> tuple[str, Credential]:
        text = tokens.new_token("czo_")
        key = await self._things.key(
            user, digest=tokens.digest(text), organization_id=organization_id, last_used_at=self._auth.now()
        )
        return key.id, Credential(text)

    async def _new_session(self, user: User, actor: str) -> tuple[Session, Credential]:
        text, now = tokens.new_token(tokens.SESSION), self._auth.now()
        session = await self._things.session(
            user,
            digest=tokens.digest(text),
            actor_type=actor,
            auth_time=now,
            factor_proved_at=now,
            created_at=now,
            expires_at=now + timedelta(days=1),
        )
        return session, Credential(text)

    async def _session(self, user: User, actor: str = "customer") -> Credential:
        return (await self._new_session(user, actor))[1]

    def _token(self, session: Session) -> Credential:
        sign = self._auth.services.access_tokens.sign
        return Credential(sign(session, restricted=False, now=self._auth.now()))

    async def _key_revoked(self) -> Change:
        user = await self._things.user()
        key_id, key = await self._key(user)
        owner = await self._session(user)
        return Change("key revoked", "DELETE", f"/api-keys/{key_id}", owner.text, None, [key])

    async def _owner_banned(self, by_admin: str) -> Change:
        user = await self._things.user()
        _, key = await self._key(user)
        session, token = await self._new_session(user, "customer")
        takes = [key, token, self._token(session)]
        return Change("owner banned", "POST", f"/admin/users/{user.id}/ban", by_admin, {"reason": "x"}, takes)

    async def _member_removed(self) -> Change:
        owner, member = await self._things.user(), await self._things.user()
        acme = await self._things.organization()
        await self._things.member(acme, owner, role="owner")
        await self._things.member(acme, member, role="admin")
        _, key = await self._key(member, acme.id)
        path = f"/organizations/{acme.id}/members/{member.id}"
        return Change(
            "member removed", "DELETE", path, (await self._session(owner)).text, {"confirm": True}, [key]
        )

    async def _service_account(self) -> tuple[str, str, Credential, str]:
        """Make a service account with a key; gives its path, an admin's session, the key and the key's path."""
        admin = await self._things.user()
        acme = await self._things.organization({admin: "admin"})
        account = await self._things.service_account(acme)
        text = tokens.new_token("czo_")
        key = await self._things.account_key(
            account, digest=tokens.digest(text), last_used_at=self._auth.now()
        )
        path = f"/organizations/{acme.id}/service-accounts/{account.id}"
        key_path = f"/organizations/{acme.id}/api-keys/{key.id}"
        return path, (await self._session(admin)).text, Credential(text), key_path

    async def _service_account_disabled(self) -> Change:
        path, admin, key, _ = await self._service_account()
        return Change("service account disabled", "PATCH", path, admin, {"enabled": False}, [key])

    async def _service_account_deleted(self) -> Change:
        path, admin, key, _ = await self._service_account()
        return Change("service account deleted", "DELETE", path, admin, None, [key])

    async def _service_account_key_switched_off(self) -> Change:
        _, admin, key, path = await self._service_account()
        body = {"enabled": False}
        return Change("service account's key switched off", "PATCH", path, admin, body, [key])

    async def _admin_lost_factor(self, by_admin: str) -> Change:
        user = await self._administrator()
        _, key = await self._key(user)
        session, token = await self._new_session(user, "admin")
        takes = [key, token, self._token(session)]
        path = f"/admin/users/{user.id}/two-factor"
        return Change("admin lost 2FA", "DELETE", path, by_admin, {"reason": "lost everything"}, takes)

    async def _session_revoked(self) -> Change:
        user = await self._things.user()
        session, token = await self._new_session(user, "customer")
        own = await self._session(user)
        takes = [token, self._token(session)]
        return Change("session revoked", "DELETE", f"/sessions/{session.id}", own.text, None, takes)


@asynccontextmanager
async def serving(
    database_url: str, directory: Path, *, workers: int = 4, env: Mapping[str, str] | None = None
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

    Args:
        bound: What came through so long after a change is late but allowed; the load goes on beyond it.
    """
    proof = Proof()
    credentials = [credential for change in changes for credential in change.takes]
    for number, credential in enumerate(credentials):
        credential.name = f"credential {number}"
    over = asyncio.Event()
    load = [asyncio.create_task(_load(port, credentials, proof, over)) for _ in range(connections)]
    try:
        await asyncio.sleep(0.3)
        for change in changes:
            await _carry_out(port, change, proof)
            await asyncio.sleep(seconds / len(changes))
        await asyncio.sleep(bound + 0.5)
    finally:
        over.set()
        await asyncio.gather(*load)
    return proof


async def _carry_out(port: int, change: Change, proof: Proof) -> None:
    connection = await _Connection.open(port)
    begun = time.monotonic()
    status = await connection.ask(change.method, f"/api/auth{change.path}", change.bearer, change.body)
    gone_at = time.monotonic()
    connection.close()
    if status not in (200, 204):
        proof.faults.append(f"{change.kind}: {status}")
        return
    for credential in change.takes:
        credential.gone_at = gone_at
        _write_down(proof, "revoke", credential, "ok", begun, gone_at)
    proof.changes[change.kind] = proof.changes.get(change.kind, 0) + 1


def _write_down(
    proof: Proof, act: Act, credential: Credential, outcome: Outcome, begun: float, ended: float
) -> None:
    proof.history.operations.append(
        Operation(act=act, thing=credential.name, outcome=outcome, invoked=begun, answered=ended)
    )


async def _load(port: int, credentials: list[Credential], proof: Proof, over: asyncio.Event) -> None:
    connection = await _Connection.open(port)
    while not over.is_set():
        credential = random.choice(credentials)
        gone_at, begun = credential.gone_at, time.monotonic()
        status = await connection.ask("GET", "/", credential.text)
        _write_down(proof, "use", credential, "ok" if status == 200 else "refused", begun, time.monotonic())
        proof.requests += 1
        if status not in (200, 401, 403):
            proof.faults.append(f"{status} for a request")
        if gone_at is None:
            # A change may be under way; only that it was not let in *before* one is a fault.
            if status != 200 and credential.gone_at is None:
                await asyncio.sleep(0.5)
                if credential.gone_at is None:
                    proof.faults.append(f"{status} for a credential that nobody took away")
            continue
        proof.after += 1
        if status == 200:
            proof.late.append(begun - gone_at)
    connection.close()


class _Connection:
    """One kept connection, which stays with one process of the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, bearer: str, body: object | None = None) -> int:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {bearer}"]
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
