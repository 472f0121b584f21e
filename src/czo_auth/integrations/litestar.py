"""Litestar: a plugin that mounts czo-auth, a guard with the requirements of a route, and the principal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from litestar import Request, Response, asgi
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import WebSocketException
from litestar.handlers import ASGIRouteHandler, BaseRouteHandler
from litestar.plugins import InitPlugin
from litestar.types import Guard, Receive, Scope, Send

from czo_auth.asgi.problems import body_of, headers_of, status_of
from czo_auth.core.errors import NotAuthenticated, Refusal
from czo_auth.core.principal import Principal
from czo_auth.integrations.requirement import Demands, Requirement, principal_in

if TYPE_CHECKING:
    from czo_auth.auth import Auth


class CzoAuth(InitPlugin):
    """
    Mounts czo-auth at its base path, starts and stops it with the application, and handles refusals.

    Wrap the whole application with ``AuthMiddleware``, because Litestar's own middleware sees stripped paths:

    >>> app = AuthMiddleware(Litestar([...], plugins=[CzoAuth(auth)]), auth=auth)
    """

    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Called by Litestar."""
        app_config.route_handlers.append(mounted(self._auth))
        app_config.lifespan.append(self._auth.lifespan())
        # The host's own handler, if it has one, decides.
        app_config.exception_handlers = {Refusal: refused, **app_config.exception_handlers}
        return app_config


def mounted(auth: Auth) -> ASGIRouteHandler:
    """Create the route handler for everything below the base path."""

    @asgi(auth.settings.base_path, is_mount=True, copy_scope=True, opt={"exclude_from_auth": True})
    async def czo_auth_mount(scope: Scope, receive: Receive, send: Send) -> None:
        # Litestar leaves the path without the mount, and a root path that says nothing about it.
        inner: Any = {**scope, "root_path": ""}
        await auth.app(inner, receive, send)  # type: ignore[arg-type]

    return czo_auth_mount


def principal_of(
    connection: ASGIConnection[Any, Any, Any, Any], *, service_accounts: bool = False
) -> Principal | None:
    """
    Return the principal, or None for an anonymous request.

    Args:
        service_accounts: Whether to return service accounts too; after a guard that admits them they always are.

    Raises:
        UserRequired: The caller is a service account.
        RuntimeError: The application lacks ``AuthMiddleware``.
    """
    return principal_in(connection.scope, service_accounts=service_accounts)


def requires(**demands: Unpack[Demands]) -> Guard:
    """Create a guard: ``@get("/orders", guards=[requires(scopes=["orders:read"])])``."""
    requirement = Requirement.of(**demands)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        try:
            await requirement.admit(connection.scope)
        except Refusal as refusal:
            if connection.scope["type"] == ScopeType.HTTP:
                raise
            code = 3000 if isinstance(refusal, NotAuthenticated) else 3003
            raise WebSocketException(detail=refusal.code, code=code) from None

    return guard


def refused(_: Request[Any, Any, Any], refusal: Refusal) -> Response[dict[str, object]]:
    """Answer a refusal; an exception handler: ``Litestar(exception_handlers={Refusal: refused})``."""
    headers = {
        name.decode(): value.decode() for name, value in headers_of(refusal) if name != b"content-type"
    }
    return Response(
        body_of(refusal),
        status_code=status_of(refusal),
        headers=headers,
        media_type="application/json",
    )
