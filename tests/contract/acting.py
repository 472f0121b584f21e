"""What the tests of API keys, administration and events do again and again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import psutil

from czo_auth.core.context import system_context
from tests.contract.api import Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Deployment, Timed, create_admin
from tests.contract.people import Account, Session
from tests.support.server import RunningServer

UNKNOWN = "019c5655-f5c0-7864-9e86-91bece04073c"
"""An id that nothing has."""

_administrators: dict[str, tuple[Account, Session]] = {}


# --- API keys --------------------------------------------------------------------------------------------------------
async def create_key(api: Api, session: Session, **more: object) -> dict[str, Any]:
    """Create a key; gives what is shown, the key itself included."""
    answer = await api.post("/api-keys", {"name": "a key", **more}, bearer=session.token)
    shown: dict[str, Any] = accepted(answer, 201)["apiKey"]
    return shown


async def principal_of(api: Api, key: str) -> dict[str, Any]:
    """Say who acts by a key that is accepted."""
    principal: dict[str, Any] = accepted(await api.get("/whoami", bearer=key))
    return principal


async def is_accepted(api: Api, key: str) -> bool:
    """Say whether a key counts; if not, it is refused in the one way that tells nothing."""
    answer = await api.get("/whoami", bearer=key)
    if answer.status_code == 200:
        return True
    refused(answer, 401, "INVALID_API_KEY")
    return False


async def listed_keys(api: Api, session: Session, query: str = "") -> list[dict[str, Any]]:
    """List the keys of a session's user."""
    body = accepted(await api.get(f"/api-keys{query}", bearer=session.token))
    assert body["total"] == len(body["apiKeys"])
    keys: list[dict[str, Any]] = body["apiKeys"]
    return keys


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("ascii")).hexdigest()


# --- organizations ---------------------------------------------------------------------------------------------------
async def create_organization(api: Api, session: Session, name: str = "Acme") -> str:
    """Create an organization; gives its id."""
    answer = await api.post("/organizations", {"name": name}, bearer=session.token)
    return str(accepted(answer, 201)["organization"]["id"])


async def join(
    api: Api, owner: Session, organization: str, person: tuple[Account, Session], role: str = "admin"
) -> None:
    """Let *owner* invite somebody, who accepts."""
    account, session = person
    invited = await api.post(
        f"/organizations/{organization}/invitations",
        {"email": account.email, "role": role},
        bearer=owner.token,
    )
    token = accepted(invited, 201)["token"]
    accepted(await api.post("/invitations/accept", {"token": token}, bearer=session.token))


# --- GraphQL ---------------------------------------------------------------------------------------------------------
async def graphql(timed: Timed, query: str, bearer: str) -> httpx.Response:
    """Ask the GraphQL application of a deployment that runs in this process."""
    async with new_client(timed.api.origin, transport=httpx.ASGITransport(timed.runtime.graphql)) as http:
        headers = {"authorization": f"Bearer {bearer}"}
        return await http.post("/graphql", json={"query": query}, headers=headers)


# --- administrators --------------------------------------------------------------------------------------------------
async def administrator(here: Deployment) -> tuple[Account, Session]:
    """Give an administrator of a shared server, whose proof is recent; made seldom."""
    server = here.api.origin
    made = _administrators.get(server)
    # A run may take longer than a proof counts.
    if made is None or here.clock() - _parsed(made[1].body["session"]["authTime"]) > timedelta(minutes=5):
        account = Account(email=f"root-{uuid4().hex}@example.com")
        account.id = await create_admin(here.auth, account.email, now=here.clock())
        session = await here.people.sign_in(account, "admin")
        made = _administrators[server] = account, await here.people.enroll(account, session)
    return made


def _parsed(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


async def change_actor_types(
    here: Deployment, account: Account, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> None:
    """Do what an operator's command line does: give and take actor types."""
    await here.auth.administration.change_actor_types(
        account.id, add=add, remove=remove, force=True, context=system_context(here.clock())
    )


# --- several processes -----------------------------------------------------------------------------------------------
@asynccontextmanager
async def clients(server: RunningServer, *, count: int = 16) -> AsyncIterator[list[Api]]:
    """Open connections to a server; each stays with the worker that took it, and every worker has some."""
    async with AsyncExitStack() as stack:
        apis = [Api(await stack.enter_async_context(new_client(server.url))) for _ in range(count)]
        for api in apis:
            assert (await api.http.get("/healthz")).status_code == 200
        assert len(_workers_with_connections(server)) >= 2
        yield apis


def _workers_with_connections(server: RunningServer) -> set[int]:
    return {
        process.pid
        for process in server.processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == server.port
    }


async def eventually(holds: Callable[[], Awaitable[bool]], *, within: float, every: float = 0.02) -> float:
    """Wait until *holds*; gives how long it took."""
    began = datetime.now(UTC)
    while not await holds():
        waited = (datetime.now(UTC) - began).total_seconds()
        assert waited < within, f"still not after {waited:.1f} s"
        await asyncio.sleep(every)
    return (datetime.now(UTC) - began).total_seconds()
