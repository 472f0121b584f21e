"""The servers under attack, and their clients."""

from __future__ import annotations

import base64
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from benchmarks import peers
from benchmarks.subjects import ROOT, Subject, granian
from czo_auth.crypto import totp
from czo_auth.crypto.sealing import new_key_text
from tests.support.server import RunningServer

PASSWORD = "a long enough phrase"
OTHER_PASSWORD = "another long enough phrase"
WAIT_SECONDS = 60
DEVICE = "deploy-tool"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
HOSTS = Path(__file__).with_name("hosts")
_numbers = count(1)


@dataclass
class Account:
    """A user with a browser, and the secrets that the server showed them once."""

    email: str
    browser: httpx.AsyncClient
    secret: bytes = b""
    secret_text: str = ""
    codes: list[str] = field(default_factory=list)
    password: str = PASSWORD

    def code(self, ahead: int = 1) -> str:
        """Return the code that is *ahead* steps after the present one; the enrollment used the present one."""
        return totp.hotp(self.secret, int(time.time()) // totp.PERIOD + ahead)


@dataclass
class Pending:
    """A sign-in between password and second factor, in its own browser."""

    browser: httpx.AsyncClient
    challenge: str = ""


class Attacked(ABC):
    """
    A server under attack.

    Attributes:
        name: As shown in the table.
        url: Where it listens.
        database: Its SQLite file.
    """

    name: str
    url: str
    database: Path

    @abstractmethod
    def start(self) -> None:
        """Start, and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """End what was started."""

    def browser(self) -> httpx.AsyncClient:
        """Make a browser without cookies, with its own address; it sends the origin of its page, as browsers do."""
        number = next(_numbers)
        address = f"10.0.{number // 250}.{number % 250 + 1}"
        headers = {"Origin": self.url, "X-Forwarded-For": address}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=WAIT_SECONDS)

    @abstractmethod
    async def sign_up(self) -> Account:
        """Sign a user up and in, in their own browser."""

    @abstractmethod
    async def enroll(self, account: Account) -> None:
        """Turn two-factor authentication on."""

    @abstractmethod
    async def sign_in(self, email: str, password: str, browser: httpx.AsyncClient) -> httpx.Response:
        """Send address and password."""

    @abstractmethod
    async def begin(self, account: Account) -> Pending:
        """Sign in with the right password, up to the second factor."""

    @abstractmethod
    async def totp(self, pending: Pending, code: str) -> httpx.Response:
        """Send a code of the authenticator."""

    @abstractmethod
    async def backup(self, pending: Pending, code: str) -> httpx.Response:
        """Send a backup code."""

    @abstractmethod
    async def is_signed_in(self, browser: httpx.AsyncClient) -> bool:
        """Whether the browser has a live session."""

    @abstractmethod
    async def change_password(self, account: Account) -> None:
        """Change the password, as its owner does."""

    @abstractmethod
    async def ban(self, account: Account) -> None:
        """Ban the account, as an administrator does."""

    def _account(self) -> Account:
        return Account(email=f"person-{next(_numbers)}@example.com", browser=self.browser())


class WithKeys(Attacked):
    """A server that has API keys."""

    @abstractmethod
    async def create_key(self, account: Account) -> str:
        """Create an API key; return its text."""

    @abstractmethod
    async def uses_key(self, key: str) -> bool:
        """Whether an API key is accepted."""


class WithDevices(WithKeys):
    """A server where a device requests a credential, and a user approves it (RFC 8628)."""

    @abstractmethod
    async def device_code(self) -> tuple[str, str]:
        """Send a device's request; return the device code and the user code."""

    @abstractmethod
    async def look(self, account: Account, user_code: str) -> httpx.Response:
        """Open the page of a user code, as the user does."""

    @abstractmethod
    async def approve(self, account: Account, user_code: str) -> httpx.Response:
        """Approve it."""

    @abstractmethod
    async def fetch(self, device_code: str) -> httpx.Response:
        """Fetch what was approved."""

    @abstractmethod
    async def uses_fetched(self, answer: httpx.Response) -> bool:
        """Whether the fetched credential is accepted."""


class BetterAuthWire(WithDevices):
    """A server with better-auth's routes: better-auth, its Python port, and this product."""

    def __init__(self, name: str, subject: Subject, database: Path, log: Path) -> None:
        self.name = name
        self.database = database
        self._subject = subject
        self._log = log
        self.url = subject.url

    def start(self) -> None:
        self._subject.start(self._log)

    def stop(self) -> None:
        self._subject.stop()

    async def sign_up(self) -> Account:
        account = self._account()
        body = {"email": account.email, "name": "Ada", "password": account.password}
        _good(await account.browser.post("/api/auth/sign-up/email", json=body))
        return account

    async def enroll(self, account: Account) -> None:
        begun = _good(
            await account.browser.post("/api/auth/two-factor/enable", json={"password": account.password})
        ).json()
        account.secret_text, account.secret = _secret_of(begun["totpURI"])
        account.codes = list(begun["backupCodes"])
        code = {"code": account.code(ahead=0)}
        _good(await account.browser.post("/api/auth/two-factor/verify-totp", json=code))

    async def sign_in(self, email: str, password: str, browser: httpx.AsyncClient) -> httpx.Response:
        return await browser.post("/api/auth/sign-in/email", json={"email": email, "password": password})

    async def begin(self, account: Account) -> Pending:
        browser = self.browser()
        _good(await self.sign_in(account.email, account.password, browser))
        return Pending(browser)

    async def totp(self, pending: Pending, code: str) -> httpx.Response:
        return await pending.browser.post("/api/auth/two-factor/verify-totp", json={"code": code})

    async def backup(self, pending: Pending, code: str) -> httpx.Response:
        return await pending.browser.post("/api/auth/two-factor/verify-backup-code", json={"code": code})

    async def is_signed_in(self, browser: httpx.AsyncClient) -> bool:
        answer = await browser.get("/api/auth/get-session")
        return answer.status_code == 200 and answer.json() is not None

    async def change_password(self, account: Account) -> None:
        body = {"currentPassword": account.password, "newPassword": OTHER_PASSWORD}
        _good(await account.browser.post("/api/auth/change-password", json=body))
        account.password = OTHER_PASSWORD

    async def ban(self, account: Account) -> None:
        operator = await self.sign_up()
        with sqlite3.connect(self.database) as database:
            database.execute("update user set role = 'admin' where email = ?", (operator.email,))
            found = database.execute("select id from user where email = ?", (account.email,)).fetchone()
        database.close()
        _good(await operator.browser.post("/api/auth/admin/ban-user", json={"userId": found[0]}))

    async def create_key(self, account: Account) -> str:
        made = _good(await account.browser.post("/api/auth/api-key/create", json={"name": "robot"}))
        return str(made.json()["key"])

    async def uses_key(self, key: str) -> bool:
        async with self.browser() as robot:
            answer = await robot.get("/api/auth/get-session", headers={"x-api-key": key})
            return answer.status_code == 200 and answer.json() is not None

    async def device_code(self) -> tuple[str, str]:
        async with self.browser() as device:
            answer = await device.post("/api/auth/device/code", json={"client_id": DEVICE})
            if answer.status_code == 404:
                raise RuntimeError("it has no device approval")
            reported = _good(answer).json()
        return str(reported["device_code"]), str(reported["user_code"])

    async def look(self, account: Account, user_code: str) -> httpx.Response:
        return await account.browser.get("/api/auth/device", params={"user_code": user_code})

    async def approve(self, account: Account, user_code: str) -> httpx.Response:
        return await account.browser.post("/api/auth/device/approve", json={"userCode": user_code})

    async def fetch(self, device_code: str) -> httpx.Response:
        body = {"grant_type": DEVICE_GRANT, "device_code": device_code, "client_id": DEVICE}
        async with self.browser() as device:
            return await device.post("/api/auth/device/token", json=body)

    async def uses_fetched(self, answer: httpx.Response) -> bool:
        bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
        async with self.browser() as device:
            reported = await device.get("/api/auth/get-session", headers=bearer)
            return reported.status_code == 200 and reported.json() is not None


class Ours(BetterAuthWire):
    """This product, as ``czo-auth serve`` runs it."""

    def __init__(self, directory: Path) -> None:
        self.name = "czo-auth"
        self.database = directory / "database.sqlite3"
        self._server = RunningServer(
            directory,
            database_url=f"sqlite:///{self.database}",
            env={"AUTH_ENCRYPTION_KEY": new_key_text(), "CZO_AUTH_RATE_LIMIT_ENABLED": "false"},
        )
        self.url = self._server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    async def ban(self, account: Account) -> None:
        command = [sys.executable, "-m", "czo_auth", "users", "ban", account.email, "--reason", "peers"]
        subprocess.run(command, env=self._server.env, check=True, capture_output=True)  # noqa: ASYNC221

    async def uses_key(self, key: str) -> bool:
        async with self.browser() as robot:
            answer = await robot.get("/api/auth/whoami", headers={"Authorization": f"Bearer {key}"})
            return answer.status_code == 200

    async def uses_fetched(self, answer: httpx.Response) -> bool:
        return await self.uses_key(str(answer.json()["access_token"]))


class Crudauth(Attacked):
    """crudauth with sessions: other routes for the same actions."""

    name = "crudauth"

    def __init__(self, subject: Subject, database: Path, log: Path) -> None:
        self.database = database
        self._subject = subject
        self._log = log
        self.url = subject.url

    def start(self) -> None:
        self._subject.start(self._log)

    def stop(self) -> None:
        self._subject.stop()

    async def sign_up(self) -> Account:
        account = self._account()
        name = account.email.partition("@")[0]
        body = {"email": account.email, "username": name, "password": account.password}
        _good(await account.browser.post("/register", json=body))
        self._keep_csrf(account.browser, await self.sign_in(account.email, account.password, account.browser))
        return account

    async def enroll(self, account: Account) -> None:
        begun = _good(
            await account.browser.post("/mfa/totp/setup", json={"password": account.password})
        ).json()
        account.secret_text, account.secret = _secret_of(begun["otpauth_uri"])
        confirmed = await account.browser.post("/mfa/totp/confirm", json={"code": account.code(ahead=0)})
        account.codes = list(_good(confirmed).json()["recovery_codes"])

    async def sign_in(self, email: str, password: str, browser: httpx.AsyncClient) -> httpx.Response:
        return await browser.post("/login", data={"username": email, "password": password})

    async def begin(self, account: Account) -> Pending:
        browser = self.browser()
        answer = _good(await self.sign_in(account.email, account.password, browser))
        return Pending(browser, str(answer.json()["challenge"]))

    async def totp(self, pending: Pending, code: str) -> httpx.Response:
        return await pending.browser.post("/mfa/verify", json={"challenge": pending.challenge, "code": code})

    backup = totp

    async def is_signed_in(self, browser: httpx.AsyncClient) -> bool:
        return (await browser.get("/me")).status_code == 200

    async def change_password(self, account: Account) -> None:
        body = {"current_password": account.password, "new_password": OTHER_PASSWORD}
        _good(await account.browser.post("/change-password", json=body))
        account.password = OTHER_PASSWORD

    async def ban(self, account: Account) -> None:
        with sqlite3.connect(self.database) as database:
            database.execute("update users set is_active = 0 where email = ?", (account.email,))
        database.close()

    @staticmethod
    def _keep_csrf(browser: httpx.AsyncClient, answer: httpx.Response) -> None:
        browser.headers["X-CSRF-Token"] = str(_good(answer).json()["csrf_token"])


def subjects(directory: Path) -> list[Attacked]:
    """Return this product, and the available peers."""
    found: list[Attacked] = [Ours(directory / "czo-auth")]
    node, python = peers.node(), peers.python()
    if node is not None:
        shutil.copy(HOSTS / "better_auth.mjs", node / "attacked.mjs")
        database = directory / "better-auth.sqlite3"
        subject = Subject(
            "better-auth",
            [peers.node_program(), str(node / "attacked.mjs")],
            env={"BENCH_DATABASE_URL": str(database), "NODE_ENV": "production"},
        )
        found.append(BetterAuthWire("better-auth", subject, database, directory / "better-auth.log"))
    if python is not None:
        for name, module in (("better-auth-server", "better_auth_server"), ("crudauth", "crudauth_session")):
            database = directory / f"{name}.sqlite3"
            env = {"BENCH_DATABASE_URL": f"sqlite+aiosqlite:///{database}", "PYTHONPATH": str(ROOT)}
            command = granian(f"benchmarks.attacks.hosts.{module}:app", python=python)
            subject = Subject(name, command, env=env)
            log = directory / f"{name}.log"
            found.append(
                Crudauth(subject, database, log)
                if name == "crudauth"
                else BetterAuthWire(name, subject, database, log)
            )
    return found


def texts_in(database: Path) -> str:
    """Read everything that a copy of an SQLite file shows without a key, as one text."""
    with sqlite3.connect(database) as connection:
        tables = [
            name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
        ]
        rows = [str(row) for table in tables for row in connection.execute(f'select * from "{table}"')]
    connection.close()
    return os.linesep.join(rows)


def _secret_of(uri: str) -> tuple[str, bytes]:
    text = parse_qs(urlsplit(uri).query)["secret"][0]
    return text, base64.b32decode(text + "=" * (-len(text) % 8), casefold=True)


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= 300:
        shown = re.sub(r"\s+", " ", answer.text)[:300]
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {shown}")
    return answer
