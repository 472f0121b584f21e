"""The REST application: all routes, and one format for all refusals."""

from __future__ import annotations

import json
import logging
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from czo_auth.asgi.admission import AppState
from czo_auth.asgi.problems import body_of, headers_of, oauth_error, status_of
from czo_auth.asgi.route_table import RouteTable, one_by_one
from czo_auth.core.errors import MethodNotAllowed, NotFound, Refusal, ValidationFailed
from czo_auth.core.text import escape_control
from czo_auth.rest import (
    accounts,
    administered_accounts,
    administration,
    api_keys,
    devices,
    invitations,
    oauth,
    organizations,
    own_account,
    passkeys,
    passwords,
    recovery,
    service_accounts,
    sessions,
    two_factor,
    webhooks,
)
from czo_auth.rest.better_auth import account as better_auth_account
from czo_auth.rest.better_auth import api_key as better_auth_api_key
from czo_auth.rest.better_auth import invitation as better_auth_invitation
from czo_auth.rest.better_auth import member as better_auth_member
from czo_auth.rest.better_auth import organization as better_auth_organization
from czo_auth.rest.openapi.viewer import add_viewer

_LOG = logging.getLogger("czo_auth")
NATIVE = (
    accounts,
    sessions,
    passwords,
    two_factor,
    passkeys,
    recovery,
    api_keys,
    organizations,
    service_accounts,
    invitations,
    administration,
    administered_accounts,
    own_account,
    webhooks,
    oauth,
    devices,
)
BETTER_AUTH = (
    better_auth_account,
    better_auth_api_key,
    better_auth_organization,
    better_auth_member,
    better_auth_invitation,
)


def rest_app(app_state: AppState, *, title: str = "czo-auth", version: str) -> FastAPI:
    """Build the application for one deployment; its routes are relative to the mount."""
    settings = app_state.runtime.settings
    app = _Rest(
        title=title,
        version=version,
        openapi_url="/openapi.json" if settings.docs_are_open else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": settings.base_path}],
        # FastAPI's own telemetry would record paths and messages, and continue the trace of any caller; older versions
        # ignore this. The provider is never called; it keeps out the telemetry of a host that uses FastAPI.
        telemetry={"exclude": lambda _: True, "meter_provider": cast("Any", object())},
    )
    if settings.docs_are_open:
        add_viewer(app, base=settings.base_path)
    app.state.app_state = app_state
    # The routes themselves, which every application of the process shares. `include_router` would build each of them
    # again for each application at its first request, and match through one more router at every request.
    ours = [route for module in (*BETTER_AUTH, *NATIVE) for route in module.routes.router.routes]
    app.router.routes[:] = [RouteTable([*app.router.routes, *ours])]
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    return app


class _Rest(FastAPI):
    """FastAPI with a route table, and an OpenAPI document that also describes the responses."""

    @property
    def routes(self) -> list[BaseRoute]:
        """Return all routes."""
        return one_by_one(self.router.routes)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            # Imported late: a server is rarely asked for it.
            from czo_auth.rest.openapi.document import openapi_document

            app_state: AppState = self.state.app_state
            self.openapi_schema = openapi_document(
                self,
                session_cookie=app_state.authenticator.cookies.session,
                user_fields=app_state.runtime.services.policies.user_fields.names,
            )
        return self.openapi_schema


def answer(refusal: Refusal, *, allow: str | None = None, oauth: bool = False) -> Response:
    """Turn a refusal into a response; *oauth* adds the fields that OAuth clients read."""
    body = body_of(refusal)
    if oauth:
        body = {"error": oauth_error(refusal), "error_description": refusal.message, **body}
    response = Response(json.dumps(body), status_code=status_of(refusal))
    for name, value in headers_of(refusal):
        response.headers[name.decode()] = value.decode()
    if allow is not None:
        response.headers["allow"] = allow
    return response


async def _refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return answer(error, oauth=_is_oauth(request))


def _is_oauth(request: Request) -> bool:
    return bool(getattr(request.state, "is_oauth", False))


async def _invalid(request: Request, error: Exception) -> Response:
    """Report the field and the problem, never the value: FastAPI's own response echoes passwords."""
    if not isinstance(error, RequestValidationError):
        raise error
    details = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query", "path"))
        message = str(problem["msg"]).removeprefix("Value error, ")
        details.append((escape_control(where or "body", limit=64), escape_control(message, limit=200)))
    return answer(ValidationFailed(details=details[:20]), oauth=_is_oauth(request))


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        return answer(MethodNotAllowed(), allow=_methods_at(request))
    return answer(NotFound() if error.status_code == 404 else ValidationFailed())


def _methods_at(request: Request) -> str:
    """Find the methods of all routes at a path by trying each; the framework reports those of one route only."""
    return ", ".join(
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    )
