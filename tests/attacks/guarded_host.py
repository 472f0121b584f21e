"""A host in several processes: the product under its path, and everything else behind its middleware."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from czo_auth import Auth, AuthMiddleware

_auth = Auth()


async def _route(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"].startswith(_auth.settings.base_path):
        await _auth.app(scope, receive, send)
        return
    status = 401 if scope["state"]["czo_auth.principal"] is None else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


_guarded = AuthMiddleware(_route, auth=_auth)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one process."""
    if scope["type"] != "lifespan":
        await _guarded(scope, receive, send)
        return
    await receive()
    await _auth.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _auth.stop()
    await send({"type": "lifespan.shutdown.complete"})
