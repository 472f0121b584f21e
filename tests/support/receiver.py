"""A receiver of webhooks: writes down every request, and answers as the test says."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Request:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


async def ok(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def status(code: int, *headers: str) -> Answer:
    """Answer with *code* and no content."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} Answer", "content-length: 0", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())

    return answer


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(3600)


async def drop(request: Request, writer: asyncio.StreamWriter) -> None:
    """Close the connection instead of answering."""
    writer.transport.abort()


async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer one byte at a time, without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


@dataclass
class Flood:
    """Answer with a gigabyte; counts what was taken of it."""

    size: int = 1 << 30
    sent: int = 0

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {self.size}\r\n\r\n".encode())
        while self.sent < self.size:
            writer.write(b"x" * 65536)
            await writer.drain()
            self.sent += 65536


@dataclass
class Receiver:
    """
    Listens on a free port of 127.0.0.1, and on the same one when it is entered again.

    Attributes:
        answer: How requests are answered; replace it at any time.
        requests: All that arrived whole, oldest first.
    """

    answer: Answer = ok
    ssl_context: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", self.port, ssl=self.ssl_context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The events' ids as they came, with those that came twice."""
        return [request.id for request in self.requests]

    async def wait_for(self, count: int, *, within: float = 60) -> list[Request]:
        """Wait until *count* requests came."""
        async with asyncio.timeout(within):
            while len(self.requests) < count:  # noqa: ASYNC110 - they come from outside
                await asyncio.sleep(0.01)
        return self.requests

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                request = await _read(reader)
                self.requests.append(request)
                await self.answer(request, writer)
                await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
    headers = {}
    for line in head[1:]:
        if line:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(line=head[0], headers=headers, body=body)
