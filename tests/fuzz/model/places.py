"""Where the machine runs: in this process with a clock that it moves, or against the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

from czo_auth import Auth
from tests.contract.api import Api, new_client
from tests.contract.deployments import THEN, Deployment, Prepared, timed_deployment
from tests.contract.people import People
from tests.fuzz.callers import DRIFT
from tests.support.server import RunningServer
from tests.support.settings import KEY, settings

_numbers = count(1)


class Databases(Protocol):
    """Prepared databases of one kind."""

    prepared: Prepared

    def new(self) -> str: ...

    def drop(self, url: str) -> None: ...


@dataclass
class InProcess:
    """A deployment on a fresh copy of a prepared database each time."""

    databases: Databases
    drift: int = 1

    async def open(self, stack: AsyncExitStack) -> Deployment:
        url = self.databases.new()
        stack.callback(self.databases.drop, url)
        # By then, the sessions are over that the prepared people had: nobody here holds them.
        now = THEN + timedelta(days=8)
        return await stack.enter_async_context(timed_deployment(url, self.databases.prepared, now=now))


@dataclass
class RealServer:
    """The server as a process, on a fresh copy each time; an operator acts beside it. Time is what it is."""

    databases: Databases
    directory: Path
    drift: int = DRIFT

    async def open(self, stack: AsyncExitStack) -> Deployment:
        return await stack.enter_async_context(_served(self.databases, self.directory))


@dataclass
class _Served(Deployment):
    operator: Auth

    @property
    def auth(self) -> Auth:
        return self.operator


@asynccontextmanager
async def _served(databases: Databases, directory: Path) -> AsyncIterator[Deployment]:
    url = databases.new()
    env = {
        "AUTH_ENCRYPTION_KEY": KEY,
        "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
        "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
    }
    server = RunningServer(
        directory / f"served-{next(_numbers)}", database_url=url, env=env, weak_hashes=True
    )
    # The machine runs in one thread, and nothing else of its loop waits for this.
    server.start()
    operator = Auth(settings(url))
    try:
        async with new_client(server.url) as http:
            people = People(Api(http), lambda: datetime.now(UTC), drift=DRIFT)
            prepared = databases.prepared.seen_by(people)
            yield _Served(
                api=people.api, people=people, clock=people.clock, prepared=prepared, operator=operator
            )
    finally:
        await operator.stop()
        server.stop()
        databases.drop(url)
