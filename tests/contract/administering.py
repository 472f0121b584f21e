"""What administrators ask and do, in one call each."""

from __future__ import annotations

from typing import Any

from tests.contract.api import Answer
from tests.contract.checks import accepted
from tests.contract.deployments import Deployment
from tests.contract.people import Account, Session


async def ask(here: Deployment, admin: Session, path: str) -> dict[str, Any]:
    body: dict[str, Any] = accepted(await here.api.get(path, bearer=admin.token))
    return body


async def act(here: Deployment, admin: Session, account: Account, what: str, **body: object) -> Answer:
    return await here.api.post(f"/admin/users/{account.id}/{what}", body, bearer=admin.token)


async def actions_about(here: Deployment, admin: Session, account: Account) -> list[str]:
    body = await ask(here, admin, f"/admin/audit?userId={account.id}&limit=200")
    return [record["action"] for record in body["audit"]]
