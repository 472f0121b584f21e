"""The same application behind czo-auth's middleware, set by its environment."""

from __future__ import annotations

from typing import Any

from benchmarks.hosts import hello
from czo_auth import Auth, AuthMiddleware

_auth = Auth()
_guarded = AuthMiddleware(hello.app, auth=_auth, required=True)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer hello to callers with a credential."""
    if scope["type"] != "lifespan":
        await _guarded(scope, receive, send)
        return
    await receive()
    await _auth.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _auth.stop()
    await send({"type": "lifespan.shutdown.complete"})
