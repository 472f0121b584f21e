"""A deployment with users, and its two APIs: GraphQL and REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from czo_auth import Auth
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.flows.organizations.changes import NewOrganization
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.principal import Principal
from czo_auth.core.users.user import User
from tests.support.records import a_user
from tests.support.settings import HERE, settings
from tests.support.users import from_here, put_session, put_user


@dataclass(frozen=True)
class Person:
    """A user who is signed in."""

    id: str
    token: str = field(repr=False)
    principal: Principal


class Deployment:
    """One deployment, reached through its applications."""

    def __init__(self, auth: Auth, graphql: httpx.AsyncClient, rest: httpx.AsyncClient) -> None:
        self.auth = auth
        self.graphql = graphql
        self.rest = rest
        self.transactions = auth.services.transactions

    async def ask(self, query: str, token: str | None, **more: Any) -> httpx.Response:
        """Send a document with a credential as Bearer."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.graphql.post("/graphql", json={"query": query, **more}, headers=headers)

    async def data(self, query: str, token: str, **more: Any) -> Any:
        """Ask what must succeed."""
        answer = await self.ask(query, token, **more)
        body = answer.json()
        assert (answer.status_code, "errors" in body) == (200, False), answer.text
        return body["data"]

    async def person(self, name: str) -> Person:
        """Add a user, `<name>@example.com`, and sign them in."""
        return await self.sign_in(await put_user(self.auth, a_user(name, now=self.auth.now())))

    async def sign_in(self, user: User) -> Person:
        """Give *user* a new session."""
        now = self.auth.now()
        token = (await put_session(self.auth, user, now=now)).session_token
        principal = await self.auth.authenticate.session_token(token, now=now)
        return Person(id=user.id, token=token, principal=principal)

    async def organization(self, owner: Person, name: str = "Acme") -> Organization:
        """Let *owner* create an organization."""
        membership = await self.auth.manage_organizations.create(
            NewOrganization(name=name), context=from_here(self.auth.now()).of(owner.principal)
        )
        return membership.organization

    async def api_key(self, owner: Person, organization: Organization | None = None) -> str:
        """Let *owner* create a key, scoped to *organization* if given."""
        created = await self.auth.create_api_keys.create(
            NewApiKey(
                name="deploy",
                organization_id=organization.id if organization else None,
                scopes=("orders:read",),
            ),
            context=from_here(self.auth.now()).of(owner.principal),
        )
        return created.key

    async def promote(self, person: Person) -> None:
        """Make *person* an administrator, who must have a second factor and has none."""
        await self.transactions.run(
            lambda tx: tx.users.set_actor_types(
                person.id, actor_types=frozenset({"customer", "admin"}), grants={}, now=self.auth.now()
            )
        )


@asynccontextmanager
async def open_deployment(database_url: str, **more: Any) -> AsyncIterator[Deployment]:
    """Open a deployment on *database_url*."""
    auth = Auth(settings(database_url, **more))
    await auth.start()
    try:
        async with _client(auth.graphql) as graphql, _client(auth.app) as rest:
            yield Deployment(auth, graphql, rest)
    finally:
        await auth.stop()


def _client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE)
