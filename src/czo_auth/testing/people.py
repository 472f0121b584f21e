"""The actors of a test: signed-in people, and machines with an API key."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx

from czo_auth.crypto import totp
from czo_auth.testing.authenticator_app import AuthenticatorApp

if TYPE_CHECKING:
    from czo_auth.testing.host import AuthHost

PASSWORD = "a sentence that only tests know"  # noqa: S105 - theirs


@dataclass(kw_only=True)
class Person:
    """
    Someone who is signed in; made by ``AuthHost.person`` and ``AuthHost.administrator``.

    Attributes:
        client: Sends their session with every request to the host.
        app: The authenticator app; None without a second factor.
        backup_codes: As shown when the second factor was turned on; used ones are not removed.
    """

    host: AuthHost = field(repr=False)
    id: str
    email: str
    password: str = field(repr=False)
    actor: str
    client: httpx.AsyncClient = field(repr=False)
    app: AuthenticatorApp | None = field(default=None, repr=False)
    backup_codes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def secret(self) -> bytes | None:
        """The secret of the authenticator app, raw bytes; None without a second factor."""
        return None if self.app is None else totp.decode_secret(self.app.secret)

    def code(self) -> str:
        """
        Read the authenticator app. A code is accepted once, so a second call within the same 30 seconds moves the
        clock forward.

        Raises:
            ValueError: They have no second factor.
        """
        if self.app is None:
            raise ValueError(f"{self.email} has no second factor: person(two_factor=True) gives one")
        if (ahead := self.app.next_step - self.app.step) > 0:
            self.host.clock.move(ahead * timedelta(seconds=totp.PERIOD))
        return self.app.code()

    async def sign_in(self) -> None:
        """
        Sign in again, with the second factor if they have one; ``client`` sends the new session from now on.

        Raises:
            AssertionError: It was refused; the message says how.
        """
        credentials = {"email": self.email, "password": self.password}
        path = f"/{self.actor}/sign-in/email"
        answer = await self.host.ask("POST", path, json=credentials)
        body = answer.json()
        if body.get("requires2FA"):
            body = {"challenge": body["challenge"], "code": self.code()}
            answer = await self.host.ask("POST", "/two-factor/verify", json=body)
        self._hold(answer)

    async def turn_on_two_factor(self) -> None:
        """
        Enroll an authenticator app as a person does; ends their other sessions.

        Raises:
            AssertionError: It was refused; the message says how.
        """
        begun = await self._ask("POST", "/two-factor/enable", {"password": self.password})
        self.app = AuthenticatorApp(begun["secret"], self.host.clock)
        self.backup_codes = tuple(begun["backupCodes"])
        body = {"code": self.code()}
        self._hold(await self.host.ask("POST", "/two-factor/verify", json=body, headers=self.client.headers))

    async def _ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.host.ask(method, path, json=body, headers=self.client.headers)
        found: dict[str, Any] = answer.json()
        return found

    def _hold(self, answer: httpx.Response) -> None:
        self.client.headers["authorization"] = f"Bearer {answer.headers['set-auth-token']}"


@dataclass(kw_only=True)
class Machine:
    """
    A machine with an API key; made by ``AuthHost.api_key``.

    Attributes:
        client: Sends the key with every request to the host.
    """

    id: str
    key: str = field(repr=False)
    client: httpx.AsyncClient = field(repr=False)
