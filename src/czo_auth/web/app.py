"""The pages as one application, relative to its mount."""

from __future__ import annotations

from dataclasses import replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from czo_auth.asgi.admission import AppState
from czo_auth.asgi.problems import status_of
from czo_auth.asgi.route_table import RouteTable
from czo_auth.core.errors import MethodNotAllowed, NotFound
from czo_auth.web.forms import Form
from czo_auth.web.pages import (
    account,
    activity,
    administered_accounts,
    administration,
    api_keys,
    audit,
    devices,
    enrollment,
    idempotent_forms,
    language,
    organization_keys,
    organizations,
    passkeys,
    passwords,
    reauthenticate,
    security,
    service_accounts,
    sign_in,
    webhooks,
)
from czo_auth.web.renderer import PageRenderer
from czo_auth.web.routing import PageRequest, find_account, recognize

GROUPS = (
    sign_in,
    passkeys,
    enrollment,
    idempotent_forms,
    security,
    activity,
    passwords,
    account,
    api_keys,
    organizations,
    organization_keys,
    service_accounts,
    administration,
    administered_accounts,
    webhooks,
    reauthenticate,
    devices,
    audit,
    language,
)


def pages_app(app_state: AppState, *, base: str) -> Starlette:
    """
    Build the pages of one deployment.

    Args:
        base: Path that they are mounted at, as browsers see it.
    """
    routes = [route for group in GROUPS for route in group.pages.routes]
    app = Starlette(
        routes=[RouteTable([*routes, Route("/static/{name}", _static)])],
        exception_handlers={HTTPException: _missing},
    )
    app.router.redirect_slashes = False
    app.state.app_state = app_state
    app.state.renderer = PageRenderer(app_state.runtime, base=base)
    return app


async def _static(request: Request) -> Response:
    renderer: PageRenderer = request.app.state.renderer
    file = renderer.static.get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    is_compressed = file.compressed is not None and _takes_gzip(request)
    body = file.compressed if is_compressed else file.body
    response = renderer.guarded(Response(body, media_type=file.media_type), has_query=False)
    response.headers["vary"] = "accept-encoding"
    if is_compressed:
        response.headers["content-encoding"] = "gzip"
    if file.policy is not None:
        response.headers["content-security-policy"] = file.policy
    # The URL changes with the content.
    response.headers["cache-control"] = "public, max-age=31536000, immutable"
    return response


def _takes_gzip(request: Request) -> bool:
    """Whether the client accepts gzip. Pages are never compressed: they contain secrets beside user input."""
    accepted = request.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return any(
        each == "gzip" or (each.startswith("gzip;q=") and not each.endswith("=0")) for each in accepted
    )


async def _missing(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    refusal = MethodNotAllowed() if error.status_code == 405 else NotFound()
    renderer: PageRenderer = request.app.state.renderer
    page = PageRequest(
        renderer=renderer,
        request=request,
        translations=renderer.language_of(request),
        call_or_none=await recognize(request),
        query=Form(),
        form=Form(),
        refusal=refusal,
    )
    page = replace(page, account=await find_account(page))
    return page.show("refused.html", switch_to=None, http_status=status_of(refusal))
