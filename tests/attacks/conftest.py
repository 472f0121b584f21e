"""
The deployment under attack: real server processes, chosen from outside, and people on it.

``ATTACK_DEPLOYMENT`` is ``sqlite-1`` (default), ``sqlite-4`` or ``postgres-4``: the database and how many processes.
``ATTACK_ROUNDS`` says how often each race is run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import httpx
import pytest

from czo_auth.core.context import system_context
from czo_auth.crypto import codes
from tests.attacks.volley import Attackers
from tests.contract.acting import administrator
from tests.contract.api import TLS, Api, new_client
from tests.contract.conftest import DRIFT, Live, Served, carried, deploy, deploy_sqlite, timed, timed_sqlite
from tests.contract.database import sql
from tests.contract.deployments import Prepared
from tests.contract.people import Account, People, Phone, Session
from tests.support.server import RunningServer
from tests.support.settings import KEY
from tests.web.conftest import pages

__all__ = ["carried", "deploy", "deploy_sqlite", "pages", "timed", "timed_sqlite"]

DEPLOYMENTS = {"sqlite-1": 1, "sqlite-4": 4, "postgres-4": 4}
"""Processes of each."""

POOL = 3
KEY_LIMIT = 20
"""Live API keys of a user; few, so that a race reaches the limit by itself."""


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def deployment() -> str:
    """Name of the deployment under attack."""
    name = os.environ.get("ATTACK_DEPLOYMENT", "sqlite-1")
    assert name in DEPLOYMENTS, f"ATTACK_DEPLOYMENT is one of {', '.join(DEPLOYMENTS)}"
    return name


@pytest.fixture(scope="session")
def rounds() -> int:
    """How often a race is run; each time with people of its own."""
    return int(os.environ.get("ATTACK_ROUNDS", "3"))


@pytest.fixture(scope="session")
def served(
    deployment: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The server that all attacks of a run go against, on an empty database at first."""
    directory = tmp_path_factory.mktemp(deployment)
    database_url = f"sqlite:///{directory / 'attacked.sqlite3'}"
    if deployment.startswith("postgres"):
        postgres = request.getfixturevalue("postgres_server")
        database_url = postgres.url(postgres.create_database())
    events = directory / "events.jsonl"
    server = RunningServer(
        directory,
        database_url=database_url,
        workers=DEPLOYMENTS[deployment],
        env={
            "AUTH_ENCRYPTION_KEY": KEY,
            "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
            "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
            "CZO_AUTH_TRUSTED_ORIGINS": "https://app.example,https://*.shop.example",
            "CZO_AUTH_EVENTS_FILE": str(events),
            "CZO_AUTH_HASH_QUEUE": "4096",
            "CZO_AUTH_API_KEY_LIMIT": str(KEY_LIMIT),
        },
        weak_hashes=True,
    )
    server.start()
    yield Served(server, database_url, events, Prepared())
    server.stop()


def scattering_client(url: str) -> httpx.AsyncClient:
    """Make a client whose every request is a new connection, so that they reach the processes as chance has it."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=0)
    return new_client(url, transport=httpx.AsyncHTTPTransport(verify=TLS, limits=limits, trust_env=False))


@pytest.fixture
async def live(served: Served) -> AsyncIterator[Live]:
    """The deployment, as one attack sees it."""
    async with scattering_client(served.server.url) as http:
        api = Api(http)
        people = People(api, _now, drift=DRIFT)
        live = Live(api=api, people=people, clock=_now, prepared=served.prepared, served=served)
        yield live
        if "auth" in vars(live):
            await live.auth.stop()


def make_people(served: Served, count: int) -> list[Account]:
    """Enrol many at once; what bounds it is the hashing of their backup codes."""

    async def make() -> list[Account]:
        async with scattering_client(served.server.url) as http:
            people = People(Api(http), _now, drift=DRIFT)
            few = asyncio.Semaphore(8)

            async def one() -> Account:
                async with few:
                    account, _ = await people.enrolled()
                    return account

            return list(await asyncio.gather(*[one() for _ in range(count)]))

    return asyncio.run(make())


@pytest.fixture(scope="module")
def somebody(served: Served) -> tuple[Account, Session]:
    """Somebody without a second factor, shared by the attacks of a file that change nothing."""

    async def make() -> tuple[Account, Session]:
        async with scattering_client(served.server.url) as http:
            return await People(Api(http), _now).newcomer()

    return asyncio.run(make())


@pytest.fixture(scope="session")
def _pool(served: Served) -> Iterator[Account]:
    return cycle(make_people(served, POOL))


@pytest.fixture
async def victim(live: Live, _pool: Iterator[Account]) -> Account:
    """
    Someone with a second factor, shared in turn. A test that changes more than sessions and a code takes
    `enrolled_user`.

    Their failures and the last spent step are forgotten first, or one attack would use up the codes of the next.
    """
    account = next(person for person in _pool if len(person.codes) > 2)
    await forget_attempts(live, account)
    return account


async def forget_attempts(live: Live, account: Account) -> None:
    """Undo what attacks of before left on an account."""
    url = live.served.database_url
    await sql(url, "DELETE FROM {}attempts WHERE user_id = $1", account.id)
    await sql(url, "UPDATE {}factors SET last_step = 0 WHERE user_id = $1", account.id)
    account.phone = Phone(account.has.secret, _now, drift=DRIFT)


@pytest.fixture
async def enrolled_user(live: Live, monkeypatch: pytest.MonkeyPatch) -> tuple[Account, Session]:
    """
    Someone with a second factor whom no other attack knows, signed in.

    Enrolled beside the server, with backup codes that are hashed at bcrypt's least cost: ten at the real one take half
    a second each time. The attacks on enrollment itself go through the server.
    """
    monkeypatch.setattr(codes, "COST", 4)
    account, session = await live.people.newcomer()
    await live.auth.start()
    now = live.clock()
    principal = await live.auth.authenticate.session_token(session.token, now=now)
    enable = live.auth.enable_two_factor
    shown = await enable.begin(
        password=None, code=None, replace=False, issuer=None, context=system_context(now).of(principal)
    )
    account.phone, account.codes = Phone(shown.secret, _now, drift=DRIFT), list(shown.backup_codes)
    await enable.confirm(account.has.at(0), context=system_context(now).of(principal))
    await forget_attempts(live, account)
    return account, await live.people.sign_in(account)


@pytest.fixture
async def root(live: Live) -> Session:
    """An administrator who has proved the second factor."""
    _, session = await administrator(live)
    return session


@pytest.fixture(scope="session")
def attackers(served: Served) -> Iterator[Attackers]:
    """Client processes that strike together."""
    with Attackers(served.server.port) as attackers:
        yield attackers


@pytest.fixture(scope="session")
def racers(served: Served, rounds: int) -> list[Account]:
    """One enrolled person for each round; a race with codes of its own takes the one of its round."""
    return make_people(served, rounds)


Graph = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def graph(live: Live) -> Graph:
    """Send a GraphQL document; ``raw`` and ``headers`` replace what is sent."""

    async def send(query: str = "{ me { id } }", bearer: str | None = None, **how: Any) -> httpx.Response:
        headers = {"content-type": "application/json", **how.pop("headers", {})}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        if "raw" in how:
            return await live.api.http.post("/graphql", content=how["raw"], headers=headers)
        return await live.api.http.post("/graphql", json={"query": query, **how}, headers=headers)

    return send


def output_of(served: Served) -> str:
    """All that the server wrote: its output and its events."""
    events = served.events_file.read_text() if served.events_file.exists() else ""
    return served.server.output() + events
