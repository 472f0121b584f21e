"""Several server processes of one deployment behind nginx, each restarted, killed and replaced by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.contract.api import new_client
from tests.support.nginx import Nginx
from tests.support.server import RunningServer


class BehindProxy(httpx.AsyncHTTPTransport):
    """Takes the proxy's own “there was no answer” for what it is: the server died, and its answer is not known."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if response.status_code in (502, 504):
            await response.aclose()
            raise httpx.RemoteProtocolError("no answer from the server behind the proxy", request=request)
        return response


class Fleet:
    """
    Servers on free ports behind one nginx.

    Args:
        database_urls: One for each server: the same database, perhaps on different ways.
        env: Settings of all; the base URL is nginx's.
    """

    def __init__(self, directory: Path, *, database_urls: Sequence[str], env: Mapping[str, str]) -> None:
        self.nginx = Nginx(directory / "nginx")
        self.url = self.nginx.url
        shared = {"CZO_AUTH_BASE_URL": self.url, "CZO_AUTH_TRUSTED_PROXIES": "127.0.0.1"}
        self.servers = [
            RunningServer(directory / f"server-{number}", database_url=url, env={**shared, **env})
            for number, url in enumerate(database_urls)
        ]
        self.nginx.ports = [server.port for server in self.servers]

    async def __aenter__(self) -> Self:
        self.nginx.start()
        try:
            for server in self.servers:
                # One after the other: together they take each other's time.
                await self.start(server)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                for server in self.servers:
                    await asyncio.to_thread(server.stop)
        finally:
            self._end()

    def client(self) -> httpx.AsyncClient:
        """Make a client whose requests the proxy spreads over the servers."""
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=0)
        return new_client(self.url, transport=BehindProxy(limits=limits, trust_env=False))

    async def start(self, server: RunningServer) -> None:
        """Start one and wait until it is ready; others go on meanwhile."""
        # Launched here, since a process ends with the thread that started it.
        server.launch()
        await asyncio.to_thread(server.wait_until_ready)

    async def restart(self, server: RunningServer, **env: str) -> None:
        """Stop one as an operator does, and start it with more settings."""
        await asyncio.to_thread(server.stop)
        server.env |= env
        await self.start(server)

    def _end(self) -> None:
        for server in self.servers:
            with contextlib.suppress(Exception):
                server.kill()
        self.nginx.stop()
