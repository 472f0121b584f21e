"""czo-auth next to a host that cannot mount ASGI applications: Django, and WSGI applications behind an adapter."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth.asgi.authentication import AuthMiddleware, path_within
from czo_auth.core.errors import Refusal
from czo_auth.errors import StartRefused

if TYPE_CHECKING:
    from czo_auth.auth import Auth

_LOG = logging.getLogger("czo_auth")


class SideBySide:
    """
    Combines two ASGI applications: czo-auth at its base path, and the guarded host for everything else.

    It handles the server's lifespan itself, because such hosts do not.

    Args:
        host: The host as an ASGI application.
        auth: The deployment.
        required: As for ``AuthMiddleware``.
    """

    def __init__(self, host: ASGIApp, *, auth: Auth, required: bool = False) -> None:
        self._host = AuthMiddleware(host, auth=auth, required=required)
        self._auth = auth
        self._base = auth.settings.base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif (rest := path_within(scope, self._base)) is not None:
            await self._auth.app({**scope, "path": self._base + rest, "root_path": self._base}, receive, send)
        else:
            await self._host(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._auth.start()
        except StartRefused as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        except Refusal as error:
            # The database may come back: the first request tries again.
            _LOG.error("not ready yet: %s", error)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._auth.stop()
        await send({"type": "lifespan.shutdown.complete"})
