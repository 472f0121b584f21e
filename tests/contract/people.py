"""People as a deployment's clients know them: an account, its phone, its sessions, and how they get in."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pyotp

from czo_auth.testing import AuthenticatorApp
from tests.contract.api import CHALLENGE_COOKIE, SESSION_COOKIE, Answer, Api
from tests.contract.checks import accepted

STEP = timedelta(seconds=30)
PASSWORD = "correct horse battery staple"
_numbers = count(os.getpid() * 1000)
"""Distinct in each process: the prepared people may be those of another one."""


class Phone(AuthenticatorApp):
    """
    The authenticator app of `czo_auth.testing`, with pyotp's arithmetic instead of the product's, and a slow clock.

    Args:
        drift: Steps that the server accepts on either side. The phone goes slow by most of them, so that there are
            many codes to use up before one would have to wait.
    """

    def __init__(self, secret: str, clock: Callable[[], datetime], *, drift: int = 1) -> None:
        super().__init__(secret, clock)
        self._totp = pyotp.TOTP(secret)
        self._drift = drift
        self._last = 0

    @property
    def next_step(self) -> int:
        """The earliest step whose code is still accepted and was not returned yet."""
        # The oldest step may go out of the window while the request is on its way; the one after it may not.
        return max(self._last + 1, self.step - max(0, self._drift - 2))

    def code(self) -> str:
        """Return the code of `next_step`, which the server accepts now."""
        assert self.next_step <= self.step + self._drift, "the phone has no fresh code: let time pass"
        return super().code()

    def code_of(self, step: int) -> str:
        return self._totp.generate_otp(step)

    def left(self) -> int:
        """Count the codes that could be shown now, one after the other."""
        return self.step + self._drift + 1 - self.next_step

    def at(self, steps: int) -> str:
        """Return the code that lies *steps* from now, whether it was shown or not."""
        return self.code_of(self.step + steps)

    def wrong(self) -> str:
        """Return a code that is wrong now and in every step near."""
        right = {self.at(steps) for steps in range(-15, 16)}
        return next(text for text in (f"{number:06d}" for number in count()) if text not in right)


@dataclass
class Account:
    """What a person knows of their account."""

    email: str
    password: str = field(default=PASSWORD, repr=False)
    name: str = "Ada Lovelace"
    id: str = ""
    phone: Phone | None = None
    codes: list[str] = field(default_factory=list, repr=False)

    @property
    def has(self) -> Phone:
        """The phone of an account that has one."""
        assert self.phone is not None
        return self.phone


@dataclass
class Session:
    """What a client was handed at a sign-in or a renewal."""

    body: dict[str, Any] = field(repr=False)
    token: str = field(repr=False)

    @classmethod
    def of(cls, answer: Answer) -> Session:
        return cls(body=accepted(answer), token=answer.headers["set-auth-token"])

    @property
    def id(self) -> str:
        return str(self.body["session"]["id"])

    @property
    def access_token(self) -> str:
        return str(self.body["accessToken"])

    @property
    def refresh_token(self) -> str:
        return str(self.body["refreshToken"])

    @property
    def cookies(self) -> dict[str, str]:
        return {SESSION_COOKIE: self.token}


CARRIERS: dict[str, Callable[[Session], dict[str, Any]]] = {
    "cookie": lambda session: {"cookies": session.cookies},
    "session token": lambda session: {"bearer": session.token},
    "access token": lambda session: {"bearer": session.access_token},
}
"""The three ways to carry a session, as arguments of a call."""


@dataclass
class People:
    """Lets people sign up and in, the way a plain client does."""

    api: Api
    clock: Callable[[], datetime]
    drift: int = 1

    async def sign_up(self, actor: str = "customer", **more: object) -> Account:
        """Sign somebody up whom nobody knows yet."""
        account = Account(email=f"person-{next(_numbers)}-{actor}@example.com")
        body = {"email": account.email, "password": account.password, "name": account.name, **more}
        account.id = accepted(await self.api.post(f"/{actor}/sign-up", body), 201)["user"]["id"]
        return account

    async def begin(self, account: Account, actor: str = "customer", **more: object) -> Answer:
        """Send the password."""
        body = {"email": account.email, "password": account.password, **more}
        return await self.api.post(f"/{actor}/sign-in/email", body)

    async def challenge(self, account: Account, actor: str = "customer") -> str:
        """Send the password of somebody who has a second factor; gives the challenge."""
        body = accepted(await self.begin(account, actor))
        assert body["requires2FA"] is True
        return str(body["challenge"])

    async def sign_in(self, account: Account, actor: str = "customer", **more: object) -> Session:
        """Sign in, with the second factor where there is one."""
        if account.phone is None:
            return Session.of(await self.begin(account, actor, **more))
        challenge = await self.challenge(account, actor)
        return Session.of(await self.verify(account.phone.code(), challenge=challenge))

    async def newcomer(self, actor: str = "customer", **more: object) -> tuple[Account, Session]:
        """Sign somebody up and in."""
        account = await self.sign_up(actor, **more)
        return account, await self.sign_in(account, actor)

    async def enable(self, account: Account, session: Session, **more: object) -> dict[str, Any]:
        """Begin an enrollment; the account has a phone and codes from now on, which do not count yet."""
        body = {"password": account.password, **more}
        shown: dict[str, Any] = accepted(
            await self.api.post("/two-factor/enable", body, bearer=session.token)
        )
        account.phone = Phone(shown["secret"], self.clock, drift=self.drift)
        account.codes = list(shown["backupCodes"])
        return shown

    async def enroll(self, account: Account, session: Session) -> Session:
        """Turn on the second factor; gives the renewed session."""
        await self.enable(account, session)
        answer = await self.verify(account.has.code(), bearer=session.token)
        return Session.of(answer)

    async def enrolled(self, actor: str = "customer") -> tuple[Account, Session]:
        """Sign somebody up and in, with a second factor."""
        account, session = await self.newcomer(actor)
        return account, await self.enroll(account, session)

    async def verify(self, code: str, *, challenge: str | None = None, **how: Any) -> Answer:
        """Send a TOTP code."""
        body = {"code": code} if challenge is None else {"code": code, "challenge": challenge}
        return await self.api.post("/two-factor/verify", body, **how)

    async def redeem(self, code: str, *, challenge: str | None = None, **how: Any) -> Answer:
        """Send a backup code."""
        body = {"code": code} if challenge is None else {"code": code, "challenge": challenge}
        return await self.api.post("/two-factor/verify-backup-code", body, **how)

    async def two_factor(self, session: Session) -> dict[str, Any]:
        """Read the state of the second factor."""
        state: dict[str, Any] = accepted(await self.api.get("/two-factor", bearer=session.token))
        return state

    async def is_alive(self, session: Session) -> bool:
        """Say whether a session still counts, by all that it handed out."""
        answers = [
            await self.api.get("/session", bearer=session.token),
            await self.api.get("/session", bearer=session.access_token),
        ]
        alive = {answer.status_code for answer in answers}
        assert alive in ({200}, {401}), "session token and access token disagree"
        return alive == {200}

    @staticmethod
    def challenge_cookie(challenge: str) -> dict[str, str]:
        return {CHALLENGE_COOKIE: challenge}
