"""Those as whom the server is explored: nobody, a customer, an owner's API key, an administrator with two factors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from czo_auth import Auth
from tests.contract.acting import create_key, create_organization, join
from tests.contract.api import Api, new_client
from tests.contract.deployments import create_admin
from tests.contract.people import Account, People, Session
from tests.support.settings import settings

DRIFT = 10
"""Steps that the explored server accepts."""

WELL_FORMED: dict[str, list[Any]] = {
    "newPassword": ["a horse that nobody knows"],
    "newEmail": ["moved@example.com"],
    "name": ["A name"],
    "slug": ["a-slug-of-ours"],
    "reason": ["A reason."],
    "role": ["member"],
    "url": ["https://hooks.example.com/"],
    "events": [["auth.passkey.counter_regressed"]],
    "scopes": [["a:b"]],
    "scope": ["a:b"],
    "client_id": ["a-device"],
    "until": [(datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")],
    "expiresIn": [3600],
    "actorType": ["customer"],
}
"""Values that generated texts seldom are; every caller may send them."""

Known = dict[str, dict[str, list[Any]]]
"""Values that exist, for each caller by the names of parameters and fields: of the caller who was made last."""


def now() -> datetime:
    return datetime.now(UTC)


class Callers:
    """
    Makes callers of one server, a new one each time.

    Args:
        url: Of the server.
        database_url: Of its database, for what only an operator may do.
    """

    def __init__(self, url: str, database_url: str) -> None:
        self._url = url
        self._database_url = database_url
        self.known: Known = {}

    @property
    def all(self) -> dict[str, Callable[[], str | None]]:
        """Every caller by name; each call gives a token that counts."""
        return {
            "nobody": lambda: None,
            "customer": lambda: self._run(self._customer),
            "owner's API key": lambda: self._run(self._owners_key),
            "administrator": lambda: self._run(self._administrator),
        }

    def _run(self, make: Callable[[People], Awaitable[str]]) -> str:
        async def made() -> str:
            async with self._people() as people:
                return await make(people)

        return asyncio.run(made())

    @asynccontextmanager
    async def _people(self) -> AsyncIterator[People]:
        async with new_client(self._url) as http:
            yield People(Api(http), now, drift=DRIFT)

    async def _customer(self, people: People) -> str:
        """An owner of an organization with everything that one can have: what a path or a body names is theirs."""
        account, session = await self._new_customer(people, "customer")
        organization = await create_organization(people.api, session)
        guest, member = await self._new_customer(people, "member")
        await join(people.api, session, organization, (guest, member), "member")
        own = await create_key(people.api, session)
        theirs = await create_key(people.api, session, organizationId=organization)
        base = f"/organizations/{organization}"
        accounts = f"{base}/service-accounts"
        program = await self._made(people, session, accounts, {"name": "a program", "scopes": ["a:b"]})
        program_id = program["serviceAccount"]["id"]
        key = await self._made(people, session, f"{accounts}/{program_id}/api-keys", {"name": "a key"})
        invitation = await self._made(
            people, session, f"{base}/invitations", {"email": f"{uuid4().hex}@example.com", "role": "viewer"}
        )
        webhook = await self._made(
            people,
            session,
            f"{base}/webhooks",
            {"url": "https://hooks.example.com/", "events": ["auth.passkey.counter_regressed"]},
        )
        other = await people.sign_in(account)
        self.known["customer"] = {
            **WELL_FORMED,
            "organization_id": [organization],
            "user_id": [guest.id],
            "account_id": [program_id],
            "key_id": [own["id"], theirs["id"], key["apiKey"]["id"]],
            "invitation_id": [invitation["invitation"]["id"]],
            "webhook_id": [webhook["webhook"]["id"]],
            "session_id": [other.body["session"]["id"]],
            "actor": ["customer"],
            "password": [account.password],
            "email": [account.email, guest.email],
            "refreshToken": [other.body["refreshToken"]],
            "token": [invitation["token"]],
        }
        return session.token

    async def _made(self, people: People, session: Session, path: str, body: object) -> Any:
        answer = await people.api.post(path, body, bearer=session.token)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def _new_customer(self, people: People, name: str) -> tuple[Account, Session]:
        account = Account(email=f"{name}-{uuid4().hex}@example.com")
        body = {"email": account.email, "password": account.password, "name": account.name}
        shown = await people.api.post("/customer/sign-up", body)
        account.id = shown.json()["user"]["id"]
        return account, await people.sign_in(account)

    async def _owners_key(self, people: People) -> str:
        _, session = await self._new_customer(people, "owner")
        organization = await create_organization(people.api, session)
        key = await create_key(people.api, session, organizationId=organization, scopes=["orders:read"])
        self.known["owner's API key"] = {"organization_id": [organization]}
        return str(key["key"])

    async def _administrator(self, people: People) -> str:
        account = Account(email=f"root-{uuid4().hex}@example.com")
        operator = Auth(settings(self._database_url))
        try:
            account.id = await create_admin(operator, account.email, now=now())
        finally:
            await operator.stop()
        session = await people.enroll(account, await people.sign_in(account, "admin"))
        subject, theirs = await self._new_customer(people, "subject")
        key = await create_key(people.api, theirs)
        organization = await create_organization(people.api, theirs)
        # A deployment has few, and those of the administrators before fill them.
        earlier = await people.api.get("/admin/webhooks", bearer=session.token)
        for each in earlier.json()["webhooks"]:
            await people.api.delete(f"/admin/webhooks/{each['id']}", bearer=session.token)
        webhook = await self._made(
            people,
            session,
            "/admin/webhooks",
            {"url": "https://hooks.example.com/", "events": ["auth.passkey.counter_regressed"]},
        )
        self.known["administrator"] = {
            **WELL_FORMED,
            "user_id": [subject.id],
            "key_id": [key["id"]],
            "session_id": [theirs.body["session"]["id"]],
            "organization_id": [organization],
            "webhook_id": [webhook["webhook"]["id"]],
            "actor": ["admin"],
            "password": [account.password],
            "email": [subject.email],
        }
        return session.token
