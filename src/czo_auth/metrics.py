"""Figures for Prometheus: how many requests each route answered, how, and how fast."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from czo_auth.extras import require_extra

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where the worker processes of one server keep their figures; read by prometheus-client when it is imported."""


class Meter:
    """
    Counts requests, and writes what it counted.

    With several workers each keeps its figures in a shared folder, and any of them answers for all.

    Raises:
        MissingExtra: The extra that brings prometheus-client is not installed.
    """

    def __init__(self) -> None:
        require_extra("metrics", "CZO_AUTH_METRICS_ENABLED")
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._own: CollectorRegistry = CollectorRegistry()
        self._requests = Counter(
            "czo_auth_requests", "Requests answered.", ["route", "status"], registry=self._own
        )
        self._seconds = Histogram(
            "czo_auth_request_seconds",
            "Time from request to the end of the answer.",
            ["route"],
            registry=self._own,
        )

    async def measure(self, route: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Run *app* and count its response under *route*.

        Paths are no labels: a stranger could fill the memory with them.
        """
        status = 500
        begun = time.perf_counter()

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, send_noted)
        finally:
            self._requests.labels(route, str(status)).inc()
            self._seconds.labels(route).observe(time.perf_counter() - begun)

    async def answer(self, send: Send) -> None:
        """Write the figures in Prometheus's text format."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        body = generate_latest(self._registry())
        headers = [
            (b"content-type", CONTENT_TYPE_LATEST.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _registry(self) -> CollectorRegistry:
        if SHARED_FOLDER not in os.environ:
            return self._own
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared
