"""The standalone server: the product at its base path, the account pages, GraphQL, health, and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth.asgi.problems import NO_SNIFF, send_refusal
from czo_auth.core.errors import MethodNotAllowed, NotFound, Refusal, Unavailable
from czo_auth.errors import StartRefused

if TYPE_CHECKING:
    from czo_auth.auth import Auth
    from czo_auth.metrics import Meter

_LOG = logging.getLogger("czo_auth")
READY_SECONDS = 1.0
"""So long one answer about readiness serves everybody who asks."""

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """
    Caches the answer to a question for a short time; concurrent callers share it.

    Args:
        ask: Returns a new answer.
        seconds: How long an answer is used.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._until = float("-inf")
        self._asking: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """Return the cached answer, or a new one; concurrent callers wait for the same one."""
        clock = asyncio.get_running_loop().time
        if self._asking is None or (self._asking.done() and clock() >= self._until):
            self._asking = asyncio.ensure_future(self._find())
        # One who hangs up must not take the answer of the others along.
        return await asyncio.shield(self._asking)

    async def _find(self) -> T:
        try:
            return await self._ask()
        finally:
            self._until = asyncio.get_running_loop().time() + self._seconds


class Server:
    """Routes each request to its application."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._base = auth.settings.base_path
        self._pages = auth.settings.pages_path if auth.settings.pages_enabled else None
        self._routes: dict[str, ASGIApp] = {
            "/graphql": auth.graphql,
            "/healthz": _only_get(self._healthy),
            "/readyz": _only_get(self._ready),
            "/.well-known/jwks.json": self._below_base("/jwks"),
            auth.oauth_metadata.path: auth.oauth_metadata,
        }
        if self._pages is not None:
            self._routes["/"] = _only_get(self._to_pages)
            # Now, so that a template or a logo that cannot be used stops the start.
            auth.pages  # noqa: B018
        self._readiness = SharedAnswer(auth.readiness, seconds=READY_SECONDS)
        self._meter: Meter | None = None
        if auth.settings.metrics_enabled:
            from czo_auth.metrics import Meter

            self._meter = Meter()
            auth.telemetry.observe_with(self._meter.observe)
            self._routes["/metrics"] = _only_get(self._meter.answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        name, route = self._find(scope["path"])
        if self._meter is None:
            return await route(scope, receive, send)
        return await self._meter.measure(name, route, scope, receive, send)

    def _find(self, path: str) -> tuple[str, ASGIApp]:
        """Find the application for *path*, and the route under which it is counted."""
        if path.startswith(self._base + "/") or path == self._base:
            return "api", self._auth.app
        if self._pages is not None and (path.startswith(self._pages + "/") or path == self._pages):
            return "pages", self._auth.pages
        route = self._routes.get(path)
        return ("none", _nothing_here) if route is None else (path, route)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.started()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.ending()
        await send({"type": "lifespan.shutdown.complete"})

    async def started(self) -> None:
        """Begin to serve, in the event loop that will answer."""
        try:
            await self._auth.start()
        except (StartRefused, Refusal) as error:
            # A database that is down comes back: the first request tries again.
            _LOG.error("not ready yet: %s", error)

    async def ending(self) -> None:
        """Finish what was begun, in the same event loop."""
        await self._auth.stop()

    def _below_base(self, path: str) -> ASGIApp:
        """Answer at the root what the API answers below its base path."""

        async def route(scope: Scope, receive: Receive, send: Send) -> None:
            below = self._base + path
            await self._auth.app({**scope, "path": below, "raw_path": below.encode()}, receive, send)

        return route

    async def _to_pages(self, send: Send) -> None:
        headers = [
            (b"location", f"{self._pages}/".encode()),
            (b"content-length", b"0"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _healthy(self, send: Send) -> None:
        await _send_json(send, 200, {"status": "ok"})

    async def _ready(self, send: Send) -> None:
        checks = await self._readiness.get()
        ready = all(checks.values())
        await _send_json(
            send, 200 if ready else 503, {"status": "ready" if ready else "not ready", "checks": checks}
        )


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    await send_refusal(send, NotFound())


def _only_get(answer: object) -> ASGIApp:
    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            return await send_refusal(send, MethodNotAllowed(), extra=[(b"allow", b"GET, HEAD")])
        return await answer(send)  # type: ignore[operator,no-any-return]

    return route


async def _send_json(send: Send, status: int, value: object) -> None:
    body = json.dumps(value).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        NO_SNIFF,
    ]
    if status == 503:
        headers.append((b"retry-after", str(Unavailable().retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def application() -> Server:
    """Build the application of one worker process, from the environment."""
    from czo_auth.auth import Auth
    from czo_auth.deployment import settings_with_local_key

    return Server(Auth(settings_with_local_key()))
