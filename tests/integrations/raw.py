"""Speaking ASGI by hand, for what HTTP clients cannot say: root paths, lifespans, WebSocket handshakes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Scope

from tests.integrations.acting import NoCookies


def client_of(app: ASGIApp, *, root_path: str = "", raises: bool = True) -> httpx.AsyncClient:
    """Make a client of an application in memory; ``raises`` shows exceptions that pass through the application."""
    transport = httpx.ASGITransport(app, root_path=root_path, raise_app_exceptions=raises)
    client = httpx.AsyncClient(transport=transport, base_url="http://shop.test")
    client.cookies.jar.set_policy(NoCookies())
    return client


async def handshake(
    app: ASGIApp,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    extensions: Sequence[str] = ("websocket.http.response",),
) -> list[Message]:
    """Begin a WebSocket; gives all that the application sent."""
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "subprotocols": [],
        "extensions": {name: {} for name in extensions},
        "state": {},
    }
    sent: list[Message] = []
    events: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

    async def receive() -> Message:
        return events.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def denial(sent: list[Message]) -> tuple[int, Any]:
    """Read a refused handshake: status and JSON."""
    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    return sent[0]["status"], json.loads(sent[1]["body"])


@asynccontextmanager
async def alive(app: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Run the application's lifespan; gives its state."""
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    task = asyncio.ensure_future(_finished(app(scope, inbox.get, outbox.put), outbox))
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        yield state
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
        await task


async def _finished(running: Any, outbox: asyncio.Queue[Message]) -> None:
    try:
        await running
    finally:
        await outbox.put({"type": "ended"})
