"""Figures for Prometheus: requests, database steps, hashing and deliveries; how many, how they went, and how long."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from czo_auth.extras import require_extra

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from czo_auth.runtime.telemetry import Kind, Labels

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
        # Of each kind of work: its labels besides `outcome`, and what it took. Unit: seconds.
        self._work = {
            kind: (
                labels,
                Histogram(f"czo_auth_{kind}_seconds", help_text, [*labels, "outcome"], registry=self._own),
            )
            for kind, labels, help_text in (
                ("step", ("kind",), "Time that a database transaction took, its waiting included."),
                ("hash", ("work",), "Time that hashing took, its waiting included."),
                ("delivery", ("sink",), "Time that a sink took for one event."),
                ("webhook_delivery", (), "Time that one webhook request took."),
            )
        }

    async def measure(self, route: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Run *app* and count its response under *route*.

        Paths are not used as labels: a stranger could fill the memory with them.
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

    def observe(self, kind: Kind, labels: Labels, seconds: float) -> None:
        """Count work that the deployment did; requests are counted by ``measure``, health and metrics included."""
        if kind in self._work:
            names, histogram = self._work[kind]
            values = [str(labels[name]) for name in (*names, "outcome")]
            histogram.labels(*values).observe(seconds)

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
