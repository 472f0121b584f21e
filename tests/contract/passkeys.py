"""What the tests of passkeys do again and again."""

from __future__ import annotations

from typing import Any

from tests.contract.api import Answer
from tests.contract.checks import accepted
from tests.contract.deployments import Deployment
from tests.contract.people import Session
from tests.support.authenticator import Authenticator

CEREMONY_COOKIE = "better-auth.better-auth-passkey"
Options = dict[str, Any]


def options_of(answer: Answer) -> Options:
    """Read options; their ids are the authenticator's, not ours."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    options: Options = answer.json()
    return options


async def begin_registration(here: Deployment, session: Session, query: str = "") -> Options:
    return options_of(await here.api.get(f"/passkey/generate-register-options{query}", bearer=session.token))


async def answer_registration(
    here: Deployment, session: Session, options: Options, response: object, **more: object
) -> Answer:
    body = {"response": response, "ceremony": options["ceremony"], **more}
    return await here.api.post("/passkey/verify-registration", body, bearer=session.token)


async def register(
    here: Deployment, session: Session, device: Authenticator, **more: object
) -> dict[str, Any]:
    """Register a passkey; gives it as it is shown."""
    options = await begin_registration(here, session)
    answer = await answer_registration(here, session, options, device.create(options), **more)
    passkey: dict[str, Any] = accepted(answer)
    return passkey


async def begin_sign_in(here: Deployment) -> Options:
    return options_of(await here.api.get("/passkey/generate-authenticate-options"))


async def finish_sign_in(here: Deployment, options: Options, response: object, **more: object) -> Answer:
    body = {"response": response, "ceremony": options["ceremony"], **more}
    return await here.api.post("/passkey/verify-authentication", body)


async def sign_in(here: Deployment, device: Authenticator, **more: object) -> Session:
    options = await begin_sign_in(here)
    return Session.of(await finish_sign_in(here, options, device.get(options), **more))


async def begin_second_step(here: Deployment, *, challenge: str | None = None, **how: Any) -> Options:
    body = {} if challenge is None else {"challenge": challenge}
    return options_of(await here.api.post("/two-factor/passkey-options", body, **how))
