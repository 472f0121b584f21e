"""Browsers that are trusted, as a deployment's clients use them."""

from __future__ import annotations

from tests.contract.api import DEVICE_COOKIE, Answer, cookies_set_by
from tests.contract.checks import accepted
from tests.contract.deployments import Deployment
from tests.contract.people import Account, Session


async def trust(here: Deployment, account: Account, actor: str = "customer") -> tuple[Session, str | None]:
    """Sign in with the wish to trust this browser; gives the session and the cookie's value."""
    challenge = await here.people.challenge(account, actor)
    body = {"code": account.has.code(), "challenge": challenge, "trustDevice": True}
    answer = await here.api.post("/two-factor/verify", body)
    cookie = cookies_set_by(answer).get(DEVICE_COOKIE)
    return Session.of(answer), cookie.value if cookie else None


async def begin(here: Deployment, account: Account, device: str, actor: str = "customer") -> Answer:
    """Send the password from a browser that holds a device cookie."""
    body = {"email": account.email, "password": account.password}
    return await here.api.post(f"/{actor}/sign-in/email", body, cookies={DEVICE_COOKIE: device})


def is_asked(answer: Answer) -> bool:
    """Say whether a second factor was asked for."""
    asked: bool = accepted(answer)["requires2FA"]
    return asked
