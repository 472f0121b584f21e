"""The span and the duration of one request."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from czo_auth.asgi.admission import AppState
from czo_auth.runtime.telemetry import Labels, Work

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"
"""The conventional name for an unknown method."""


async def measure(
    app: ASGIApp,
    app_state: AppState,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    route: str | None = None,
    base: str = "",
) -> None:
    """
    Run *app*, and measure its request if there is an observer.

    The trace of a trusted proxy is continued; any other ``traceparent`` is ignored, because it could join unrelated
    requests or force recording. Paths are reported as the route's pattern, never as sent.

    Args:
        route: Its pattern, where the framework leaves none in *scope*.
        base: The prefix before the framework's pattern.
    """
    telemetry = app_state.runtime.telemetry
    if not telemetry.has_sdk:
        await app(scope, receive, send)
        return
    client = scope.get("client")
    is_trusted = client is not None and app_state.clients.is_trusted(str(client[0]))
    status = 500

    async def send_noted(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    with telemetry.request(scope["headers"] if is_trusted else None) as work:
        try:
            await app(scope, receive, send_noted)
        finally:
            _describe(work, scope, status, route or _pattern(scope, base))


def _describe(work: Work, scope: Scope, status: int, route: str | None) -> None:
    method = scope["method"] if scope["method"] in _METHODS else _OTHER
    name = "HTTP" if method == _OTHER else method
    work.rename(name if route is None else f"{name} {route}")
    labels: Labels = {"http.request.method": method, "http.response.status_code": status}
    work.labels |= labels if route is None else {**labels, "http.route": route}
    for label, value in work.labels.items():
        work.set(label, value)
    if status >= 500:
        work.fail(str(status))


def _pattern(scope: Scope, base: str) -> str | None:
    pattern = getattr(scope.get("route"), "path", None)
    return None if pattern is None else f"{base}{pattern}"
