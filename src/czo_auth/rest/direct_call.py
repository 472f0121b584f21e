"""
Calling a route's function without FastAPI's resolution of dependencies.

Nearly all routes take the same: the admitted request, texts from the path, and one body. For these, resolving the
dependencies again for each request costs more than the function does. FastAPI still declares the parameters, validates
the values and describes the route; a route that takes anything else goes through FastAPI.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.rest.models import Body

DirectCall = Callable[[Request, RequestContext, bytes | None], Awaitable[Response]]


def direct_call(route: APIRoute, *, context_dependency: Callable[..., Any]) -> DirectCall | None:
    """
    Return a function that validates the parameters of *route* and calls its function.

    Args:
        context_dependency: The dependency whose value is the `RequestContext`.

    Returns:
        None if the route takes parameters that only FastAPI knows how to fill. Otherwise a function of the request, its
        context and its body, which was parsed before and is JSON; None without one. It raises RequestValidationError
        as FastAPI does.
    """
    takes = route.dependant
    if (
        takes.query_params
        or takes.header_params
        or takes.cookie_params
        or takes.request_param_name
        or takes.response_param_name
        or takes.background_tasks_param_name
        or takes.http_connection_param_name
        or takes.security_scopes_param_name
        or len(takes.body_params) > 1
        or any(each.call is not context_dependency or each.name is None for each in takes.dependencies)
        or takes.call is None
    ):
        return None
    body_field = takes.body_params[0] if takes.body_params else None
    if body_field is not None:
        model = body_field.field_info.annotation
        if not (isinstance(model, type) and issubclass(model, Body)):
            return None
    endpoint: Callable[..., Awaitable[Response]] = takes.call
    context_names = [each.name for each in takes.dependencies if each.name is not None]
    path_fields = list(takes.path_params)

    async def call(request: Request, context: RequestContext, body: bytes | None) -> Response:
        values: dict[str, Any] = dict.fromkeys(context_names, context)
        errors: list[Any] = []
        for field in path_fields:
            value, found = field.validate(request.path_params[field.alias], {}, loc=("path", field.alias))
            values[field.name] = value
            errors += found or ()
        if body_field is not None:
            value, found = body_field.validate(json.loads(body or b"{}"), {}, loc=("body",))
            values[body_field.name] = value
            errors += found or ()
        if errors:
            raise RequestValidationError(errors)
        return await endpoint(**values)

    return call
