"""A host application: the product under its path, and behind its middleware routes that require what a query says."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth import Auth, AuthMiddleware
from czo_auth.core.principal import Principal


def guarded_routes(auth: Auth) -> ASGIApp:
    """
    Return the application.

    ``GET /`` answers 200 to any principal. ``actor``, ``scope``, ``aal``, ``organization`` and ``role`` in the query
    say what the route requires, as `Principal.require` does.
    """

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(auth.settings.base_path):
            await auth.app(scope, receive, send)
            return
        status = _status(
            scope["state"]["czo_auth.principal"], dict(parse_qsl(scope["query_string"].decode()))
        )
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return AuthMiddleware(route, auth=auth)


def _status(principal: Principal | None, required: dict[str, str]) -> int:
    if principal is None:
        return 401
    # The middleware turns a refusal into its answer.
    principal.require(
        actor=required.get("actor"),
        scopes=[required["scope"]] if "scope" in required else [],
        aal=int(required.get("aal", 1)),
        organization_id=required.get("organization"),
        service_accounts=True,
    )
    return 200 if required.get("role") in (None, principal.organization_role) else 403
