"""The host of `tests.attacks.guarded_routes` in several processes."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from czo_auth import Auth
from tests.attacks.guarded_routes import guarded_routes

_auth = Auth()
_routes = guarded_routes(_auth)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one process."""
    if scope["type"] != "lifespan":
        await _routes(scope, receive, send)
        return
    await receive()
    await _auth.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _auth.stop()
    await send({"type": "lifespan.shutdown.complete"})
