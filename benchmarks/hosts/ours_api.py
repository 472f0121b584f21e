"""czo-auth's own application at its base path, set by its environment; for what proxies and services ask of it."""

from __future__ import annotations

from typing import Any

from czo_auth import Auth

_auth = Auth()
_api = _auth.app


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve the API."""
    if scope["type"] != "lifespan":
        await _api(scope, receive, send)
        return
    await receive()
    await _auth.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _auth.stop()
    await send({"type": "lifespan.shutdown.complete"})
