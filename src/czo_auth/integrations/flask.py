"""
Flask, or any other WSGI application, behind a2wsgi: czo-auth next to it, and the principal.

Flask turns every exception into its own response, so the decorator handles refusals itself.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from a2wsgi import WSGIMiddleware
from flask import Response, request
from starlette.types import ASGIApp

from czo_auth.asgi.problems import body_of, headers_of, status_of
from czo_auth.core.errors import Refusal
from czo_auth.core.principal import Principal
from czo_auth.integrations.requirement import Demands, Requirement, principal_in
from czo_auth.integrations.side_by_side import SideBySide

if TYPE_CHECKING:
    from czo_auth.auth import Auth

View = TypeVar("View", bound=Callable[..., Any])
THREADS = 10


def with_auth(wsgi_application: Callable[..., Any], auth: Auth, *, threads: int = THREADS) -> ASGIApp:
    """
    Serve czo-auth and a WSGI application; the result is for an ASGI server.

    Args:
        wsgi_application: A Flask application, or any other.
        auth: The deployment.
        threads: How many requests the WSGI application handles at once.
    """
    adapted: Any = WSGIMiddleware(wsgi_application, workers=threads)
    return SideBySide(adapted, auth=auth)


def principal_of(
    environ: Mapping[str, Any] | None = None, *, service_accounts: bool = False
) -> Principal | None:
    """
    Return the principal, or None for an anonymous request.

    Args:
        environ: Of the WSGI request; by default that of the request which Flask is answering.
        service_accounts: Whether to return service accounts too; after a guard that admits them they always are.

    Raises:
        UserRequired: The caller is a service account.
        RuntimeError: The request did not come through ``with_auth``.
    """
    return principal_in(_scope(environ), service_accounts=service_accounts)


def requires(**demands: Unpack[Demands]) -> Callable[[View], View]:
    """
    Guard the decorated view; must be below ``@app.get(...)``.

    >>> @app.get("/orders")
    ... @requires(scopes=["orders:read"])
    ... def orders(): ...
    """
    requirement = Requirement.of(**demands)

    def admit() -> Response | None:
        try:
            requirement.admit_blocking(_scope(None), request.view_args or {})
        except Refusal as refusal:
            return refused(refusal)
        return None

    def guard(view: View) -> View:
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                refusal = admit()
                return await view(*args, **kwargs) if refusal is None else refusal

            return guarded_coroutine  # type: ignore[return-value]

        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            refusal = admit()
            return view(*args, **kwargs) if refusal is None else refusal

        return guarded  # type: ignore[return-value]

    return guard


def refused(refusal: Refusal) -> Response:
    """Answer a refusal; for those a view raises itself: ``app.register_error_handler(Refusal, refused)``."""
    response = Response(json.dumps(body_of(refusal)), status=status_of(refusal))
    for name, value in headers_of(refusal):
        response.headers[name.decode()] = value.decode()
    return response


def _scope(environ: Mapping[str, Any] | None) -> Mapping[str, Any]:
    # Where a2wsgi keeps the ASGI scope that a WSGI request came from.
    scope: Mapping[str, Any] = (request.environ if environ is None else environ).get("asgi.scope", {})
    return scope
