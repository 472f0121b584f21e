"""A deployment's pages in the test's process, on a copy of the contract tests' people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from czo_auth.server import Server
from tests.contract.api import SESSION_COOKIE, new_client
from tests.contract.databases import SqliteDatabases
from tests.contract.deployments import Timed, timed_deployment
from tests.support.settings import HERE


@dataclass
class Pages:
    """The standalone server's pages, asked as a browser would; it keeps no cookie by itself."""

    here: Timed
    http: httpx.AsyncClient

    async def get(self, path: str, *, session: str | None = None, **headers: str) -> httpx.Response:
        return await self.http.get(f"/account{path}", headers=self._headers(session, headers))

    async def post(
        self,
        path: str,
        form: dict[str, str] | None = None,
        *,
        session: str | None = None,
        origin: str | None = HERE,
        **headers: str,
    ) -> httpx.Response:
        sent = self._headers(session, headers)
        if origin is not None:
            sent["origin"] = origin
        return await self.http.post(f"/account{path}", data=form or {}, headers=sent)

    async def shown(
        self, path: str, form: dict[str, str] | None = None, *, session: str | None = None, **headers: str
    ) -> httpx.Response:
        """Send a form that makes a secret, and follow to the page that shows it."""
        answer = await self.post(path, form, session=session, **headers)
        assert answer.status_code == 303, answer.text
        return await self.get(answer.headers["location"].removeprefix("/account"), session=session, **headers)

    def _headers(self, session: str | None, more: dict[str, str]) -> dict[str, str]:
        sent = {name.replace("_", "-"): value for name, value in more.items()}
        if session is not None:
            sent.setdefault("cookie", f"{SESSION_COOKIE}={session}")
        return sent


@asynccontextmanager
async def opened_pages(databases: SqliteDatabases, **settings: Any) -> AsyncIterator[Pages]:
    """Open the pages of a deployment with *settings*."""
    opened = timed_deployment(databases.new(), databases.prepared, pages_enabled=True, **settings)
    async with opened as here:
        transport = httpx.ASGITransport(Server(here.runtime))
        async with new_client(HERE, transport=transport) as http:
            yield Pages(here, http)


@pytest.fixture
async def pages(sqlite_databases: SqliteDatabases, tmp_path: Path) -> AsyncIterator[Pages]:
    """The pages, and the deployment behind them."""
    async with opened_pages(sqlite_databases) as opened:
        yield opened
