"""An organization whose owner and admin look after service accounts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from czo_auth.core.mail import MailMessage
from tests.contract.acting import create_organization, join
from tests.contract.api import Answer, Api
from tests.contract.checks import accepted
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session


@dataclass
class Acme:
    """An organization with its owner and an admin, and what they do about service accounts."""

    timed: Timed
    id: str
    boss: Account
    owner: Session
    account: Account
    admin: Session

    @property
    def api(self) -> Api:
        return self.timed.api

    @property
    def path(self) -> str:
        return f"/organizations/{self.id}"

    @property
    def accounts(self) -> str:
        return f"{self.path}/service-accounts"

    @property
    def member(self) -> str:
        return f"{self.path}/members/{self.account.id}"

    async def ask(self, session: Session | None = None, **more: object) -> Answer:
        body = {"name": "deploy", "scopes": ["a:read", "a:write"], **more}
        return await self.api.post(self.accounts, body, bearer=(session or self.owner).token)

    async def create(self, session: Session | None = None, **more: object) -> dict[str, Any]:
        shown: dict[str, Any] = accepted(await self.ask(session, **more), 201)["serviceAccount"]
        return shown

    async def ask_key(self, account_id: str, session: Session | None = None, **more: object) -> Answer:
        path = f"{self.accounts}/{account_id}/api-keys"
        body = {"name": "ci", "scopes": ["a:read"], **more}
        return await self.api.post(path, body, bearer=(session or self.owner).token)

    async def key(self, account_id: str, session: Session | None = None, **more: object) -> dict[str, Any]:
        shown: dict[str, Any] = accepted(await self.ask_key(account_id, session, **more), 201)["apiKey"]
        return shown

    async def keys(self, query: str = "") -> list[dict[str, Any]]:
        """List every key that acts there."""
        body = accepted(await self.api.get(f"{self.path}/api-keys{query}", bearer=self.owner.token))
        assert body["total"] == len(body["apiKeys"])
        listed: list[dict[str, Any]] = body["apiKeys"]
        return listed


async def mailed(timed: Timed, kind: str, to: str) -> MailMessage:
    """Wait for a mail."""
    async with asyncio.timeout(10):
        while True:
            for message in timed.mail.messages:
                if (message.kind, message.to) == (kind, to):
                    return message
            await asyncio.sleep(0.005)


async def acme_of(timed: Timed) -> Acme:
    boss, owner = await timed.people.newcomer()
    account, admin = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    await join(timed.api, owner, organization, (account, admin))
    return Acme(timed, organization, boss, owner, account, admin)
