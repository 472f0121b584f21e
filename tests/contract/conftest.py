"""Deployments for the contract tests, on both kinds of database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pytest

from czo_auth import Auth
from tests.contract.api import Api, new_client
from tests.contract.databases import Databases, PostgresDatabases, SqliteDatabases
from tests.contract.deployments import Deployment, Prepared, Timed, timed_deployment
from tests.contract.people import CARRIERS, People, Session
from tests.support.server import RunningServer
from tests.support.settings import KEY, settings

DRIFT = 10
"""Steps that the real servers accept, so that a test may use many codes without waiting."""


# --- in the test's process -------------------------------------------------------------------------------------------
class Deploy(Protocol):
    """Run a deployment on a fresh database; settings may be given."""

    async def __call__(self, database_url: str | None = None, **more: Any) -> Timed: ...


@asynccontextmanager
async def _deploying(databases: Databases) -> AsyncIterator[Deploy]:
    async with AsyncExitStack() as stack:

        async def deploy(database_url: str | None = None, **more: Any) -> Timed:
            url = database_url or databases.new()
            if database_url is None:
                stack.callback(databases.drop, url)
            return await stack.enter_async_context(timed_deployment(url, databases.prepared, **more))

        yield deploy


@pytest.fixture
async def deploy(databases: Databases) -> AsyncIterator[Deploy]:
    """Start deployments with settings of the test's own, on each kind of database."""
    async with _deploying(databases) as deploy:
        yield deploy


@pytest.fixture
async def deploy_sqlite(sqlite_databases: SqliteDatabases) -> AsyncIterator[Deploy]:
    """The same where the database does not matter."""
    async with _deploying(sqlite_databases) as deploy:
        yield deploy


@pytest.fixture
async def deploy_postgres(postgres_databases: PostgresDatabases) -> AsyncIterator[Deploy]:
    """The same where it is about the locks of PostgreSQL."""
    async with _deploying(postgres_databases) as deploy:
        yield deploy


@pytest.fixture
async def timed(deploy: Deploy) -> Timed:
    """A deployment whose clock the test moves, on each kind of database."""
    return await deploy()


@pytest.fixture
async def timed_sqlite(deploy_sqlite: Deploy) -> Timed:
    """The same where the database does not matter."""
    return await deploy_sqlite()


# --- the real server -------------------------------------------------------------------------------------------------
@dataclass
class Served:
    """A real server that the tests of one run share. People belong to the test that made or took them."""

    server: RunningServer
    database_url: str
    events_file: Path
    prepared: Prepared


def _serving(databases: Databases, directory: Path) -> Iterator[Served]:
    database_url = databases.new()
    events_file = directory / "events.jsonl"
    server = RunningServer(
        directory,
        database_url=database_url,
        workers=2,
        env={
            "AUTH_ENCRYPTION_KEY": KEY,
            "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
            "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
            "CZO_AUTH_TRUSTED_ORIGINS": "https://app.example,https://*.shop.example",
            "CZO_AUTH_EVENTS_FILE": str(events_file),
        },
        weak_hashes=True,
    )
    server.start()
    clock_of = People(api=None, clock=lambda: datetime.now(UTC), drift=DRIFT)  # type: ignore[arg-type]
    yield Served(server, database_url, events_file, databases.prepared.seen_by(clock_of))
    server.stop()


@pytest.fixture(scope="session")
def sqlite_served(
    sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The server on SQLite."""
    yield from _serving(sqlite_databases, tmp_path_factory.mktemp("served-sqlite"))


@pytest.fixture(scope="session")
def postgres_served(
    postgres_databases: PostgresDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The server on PostgreSQL."""
    yield from _serving(postgres_databases, tmp_path_factory.mktemp("served-postgres"))


@dataclass
class Live(Deployment):
    """The real server, seen by one test."""

    served: Served

    @cached_property
    def auth(self) -> Auth:
        """A second process on the same database, as the command line is."""
        return Auth(settings(self.served.database_url))


@asynccontextmanager
async def _live(served: Served) -> AsyncIterator[Live]:
    def clock() -> datetime:
        return datetime.now(UTC)

    async with new_client(served.server.url) as http:
        api = Api(http)
        live = Live(
            api=api,
            people=People(api, clock, drift=DRIFT),
            clock=clock,
            prepared=served.prepared,
            served=served,
        )
        yield live
        if "auth" in vars(live):
            await live.auth.stop()


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest) -> Served:
    """The shared server on each kind of database."""
    found: Served = request.getfixturevalue(f"{request.param}_served")
    return found


@pytest.fixture
async def live(served: Served) -> AsyncIterator[Live]:
    """The real server with two workers, on each kind of database."""
    async with _live(served) as live:
        yield live


@pytest.fixture
async def live_sqlite(sqlite_served: Served) -> AsyncIterator[Live]:
    """The same where the database does not matter."""
    async with _live(sqlite_served) as live:
        yield live


@pytest.fixture(params=list(CARRIERS))
def carried(request: pytest.FixtureRequest) -> Any:
    """A way to carry a session: gives the arguments of a call."""
    carry = CARRIERS[request.param]

    def arguments(session: Session) -> dict[str, Any]:
        return carry(session)

    return arguments
