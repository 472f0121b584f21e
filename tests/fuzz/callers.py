"""Those as whom the server is explored: nobody, a customer, an owner's API key, an administrator with two factors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from czo_auth import Auth
from tests.contract.acting import create_key, found
from tests.contract.api import Api, new_client
from tests.contract.deployments import create_admin
from tests.contract.people import Account, People
from tests.support.settings import settings

DRIFT = 10
"""Steps that the explored server accepts."""


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
        account = Account(email=f"customer-{uuid4().hex}@example.com")
        body = {"email": account.email, "password": account.password, "name": account.name}
        await people.api.post("/customer/sign-up", body)
        session = await people.sign_in(account)
        await found(people.api, session)
        return session.token

    async def _owners_key(self, people: People) -> str:
        account = Account(email=f"owner-{uuid4().hex}@example.com")
        body = {"email": account.email, "password": account.password, "name": account.name}
        await people.api.post("/customer/sign-up", body)
        session = await people.sign_in(account)
        organization = await found(people.api, session)
        key = await create_key(people.api, session, organizationId=organization, scopes=["orders:read"])
        return str(key["key"])

    async def _administrator(self, people: People) -> str:
        account = Account(email=f"root-{uuid4().hex}@example.com")
        operator = Auth(settings(self._database_url))
        try:
            account.id = await create_admin(operator, account.email, now=now())
        finally:
            await operator.stop()
        session = await people.enroll(account, await people.sign_in(account, "admin"))
        return session.token
