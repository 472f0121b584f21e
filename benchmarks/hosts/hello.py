"""The ceiling: an ASGI application that does nothing, or computes for a while or reads the body first."""

from __future__ import annotations

import os
import time
from typing import Any

_COMPUTES_NS = 1000 * int(os.environ.get("BENCH_COMPUTES_MICROSECONDS", "0"))

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
}
_BODY = {"type": "http.response.body", "body": b"hello"}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer hello to everything."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send(_START)
    await send(_BODY)


async def computing_app(scope: Any, receive: Any, send: Any) -> None:
    """Do the same after so many microseconds of Python as `BENCH_COMPUTES_MICROSECONDS` says."""
    end = time.perf_counter_ns() + _COMPUTES_NS
    while time.perf_counter_ns() < end:
        pass
    await app(scope, receive, send)


async def reading_app(scope: Any, receive: Any, send: Any) -> None:
    """Do the same after the body was read."""
    if scope["type"] == "http":
        while (await receive())["more_body"]:
            pass
    await app(scope, receive, send)
