"""For tests of webhooks: a deployment that may send to this machine, endpoints, and waiting for deliveries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.contract.acting import create_organization, eventually
from tests.contract.api import Api
from tests.contract.checks import accepted
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import Session

URL = "https://hooks.example.com/czo"
NEW = {"url": URL, "events": ["auth.apikey.*"]}


async def deployment_of(deploy: Deploy, **more: Any) -> Timed:
    # The reference library compares with the real clock.
    chosen = {"now": datetime.now(UTC).replace(microsecond=0), **more}
    return await deploy(
        webhook_allowed_hosts="127.0.0.1", organization_webhook_allowed_hosts="127.0.0.1", **chosen
    )


async def administrator_of(here: Timed) -> Session:
    here.time.advance(seconds=31)
    challenge = await here.people.challenge(here.ada, "admin")
    return Session.of(await here.people.verify(here.ada.has.code(), challenge=challenge))


async def owner_of(here: Timed) -> tuple[Session, str]:
    _, session = await here.people.newcomer()
    return session, await create_organization(here.api, session)


async def make(api: Api, session: Session, base: str, **more: object) -> dict[str, Any]:
    body: dict[str, Any] = accepted(await api.post(base, {**NEW, **more}, bearer=session.token), 201)
    return body


async def deliveries_of(here: Timed, session: Session, base: str, webhook_id: str) -> list[dict[str, Any]]:
    """Return the deliveries to an endpoint, newest first."""
    answer = await here.api.get(f"{base}/{webhook_id}/deliveries", bearer=session.token)
    deliveries: list[dict[str, Any]] = accepted(answer)["deliveries"]
    return deliveries


async def wait_for_statuses(
    here: Timed, session: Session, base: str, webhook_id: str, *statuses: str
) -> list[dict[str, Any]]:
    """Wait until the log, newest first, shows exactly *statuses*."""

    async def holds() -> bool:
        return [each["status"] for each in await deliveries_of(here, session, base, webhook_id)] == list(
            statuses
        )

    await eventually(holds, within=60)
    return await deliveries_of(here, session, base, webhook_id)


async def wait_for_attempts(here: Timed, session: Session, base: str, webhook_id: str, *, times: int) -> None:
    """Wait until the newest delivery had so many attempts; the test may move the clock afterwards."""

    async def holds() -> bool:
        return [each["attempts"] for each in await deliveries_of(here, session, base, webhook_id)][:1] == [
            times
        ]

    await eventually(holds, within=60)
