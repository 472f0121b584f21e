"""The OpenAPI document, put together from FastAPI's and from what the product says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from czo_auth.asgi.caching import JWKS_CACHE_CONTROL
from czo_auth.asgi.forward_auth import PATH as FORWARD_AUTH
from czo_auth.core.errors import Refusal
from czo_auth.rest.openapi import records as r
from czo_auth.rest.openapi.answers import ANSWERS, OPENS_SESSION
from czo_auth.rest.openapi.forward_auth import forward_auth_operation
from czo_auth.rest.records import Schema
from czo_auth.rest.routing import GuardedRoute

_MEANINGS: Final[dict[int, str]] = {
    400: "Malformed, invalid, or not acceptable in this state.",
    401: "No credential, or one that does not count.",
    403: "Not allowed.",
    404: "Unknown, or not the caller's.",
    409: "In conflict with what is there.",
    413: "The body is too large.",
    415: "The body is not plain JSON.",
    422: "Understood, and cannot be done.",
    429: "Too many attempts, or too many requests.",
    503: "The database is busy or down. Nothing was done.",
}
_WITH_A_BODY: Final = frozenset({413, 415})
_CREDENTIALS: Final[dict[str, list[dict[str, list[str]]]]] = {
    "none": [],
    "optional_session": [{}, {"bearer": []}, {"sessionCookie": []}],
    "session": [{"bearer": []}, {"sessionCookie": []}],
    "any": [{"bearer": []}, {"sessionCookie": []}],
}


def openapi_document(app: FastAPI, *, session_cookie: str) -> dict[str, Any]:
    """
    Describe *app* so that a client, or a test, can tell a right answer from a wrong one.

    Args:
        session_cookie: Name of the session cookie of this deployment.
    """
    document = get_openapi(
        title=app.title, version=app.version, routes=app.routes, servers=app.servers, openapi_version="3.1.0"
    )
    schemas = document["components"]["schemas"]
    # The framework's own shape of an invalid request, which nothing here answers.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    answers = ANSWERS | _declared(app)
    schemas |= r.components
    schemas["Problem"] = _problem()
    document["components"]["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token, a session token, or, where a route takes any credential, an API key.",
        },
        "sessionCookie": {"type": "apiKey", "in": "cookie", "name": session_cookie},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, f"{method.upper()} {path}", answers)
    document["paths"][FORWARD_AUTH] = {"get": forward_auth_operation(_refused, _limit_headers())}
    return document


def _declared(app: FastAPI) -> dict[str, Schema]:
    """Describe the answers of the routes whose return type says what they are."""
    return {
        f"{method} {route.path_format}": r.described(route.record)
        for route in app.routes
        if isinstance(route, GuardedRoute) and route.record is not None
        for method in route.methods or ()
    }


def _complete(operation: dict[str, Any], name: str, answers: Mapping[str, Schema]) -> None:
    operation["security"] = _CREDENTIALS[operation["x-credential"]]
    (success,) = (status for status in operation["responses"] if status.startswith("2"))
    done: dict[str, Any] = {"description": "Done.", "headers": _always()}
    if name == "GET /jwks":
        done["headers"] = {"Cache-Control": _header({"const": JWKS_CACHE_CONTROL})}
    if success != "204":
        done["content"] = {"application/json": {"schema": answers[name]}}
    if name in OPENS_SESSION:
        done["headers"]["set-auth-token"] = _header(r.token("czs_"), required=False)
    refusals = {
        str(status): _refused(status)
        for status in _MEANINGS
        if status not in _WITH_A_BODY or name.partition(" ")[0] != "GET"
    }
    operation["responses"] = {success: done, **refusals}
    if operation["x-credential"] == "any":
        for answer in operation["responses"].values():
            answer["headers"] = {**answer["headers"], **_limit_headers()}


def _refused(status: int) -> dict[str, Any]:
    headers = _always()
    if status == 401:
        headers["WWW-Authenticate"] = _header({"type": "string", "pattern": "^Bearer"})
    if status == 403:
        # Only where scopes are missing (RFC 6750 section 3).
        pattern = '^Bearer error="insufficient_scope"'
        headers["WWW-Authenticate"] = _header({"type": "string", "pattern": pattern}, required=False)
    if status in (429, 503):
        # Not on a stop, which no time lifts.
        headers["Retry-After"] = _header({"type": "integer", "minimum": 0}, required=status == 503)
    body = {
        "allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"status": {"const": status}}}]
    }
    return {
        "description": _MEANINGS[status],
        "headers": headers,
        "content": {"application/json": {"schema": body}},
    }


def _problem() -> Schema:
    # A field; or a kind of thing and its id or name, as in LAST_OWNER and INSUFFICIENT_SCOPE.
    details = r.each(r.plain(loc={"anyOf": [r.TEXT, r.each(r.TEXT)]}, msg=r.TEXT))
    return r.plain(
        # The first two on OAuth endpoints only.
        {"error": r.TEXT, "error_description": r.TEXT, "details": details, "retryAfter": r.COUNT},
        code={"enum": sorted({kind.code for kind in _kinds(Refusal) if hasattr(kind, "code")})},
        message=r.TEXT,
        status={"enum": sorted({*_MEANINGS, 405})},
    )


def _kinds(of: type[Refusal]) -> list[type[Refusal]]:
    return [of, *(kind for below in of.__subclasses__() for kind in _kinds(below))]


def _always() -> dict[str, Any]:
    return {"Cache-Control": _header({"const": "no-store"})}


def _limit_headers() -> dict[str, Any]:
    """Describe the headers that tell an API key its limits."""
    return {
        "RateLimit-Policy": {
            "required": False,
            "description": "What the limits of the API key allow, where it has any: `q` requests in `w` seconds.",
            "schema": r.TEXT,
        },
        "RateLimit": {
            "required": False,
            "description": "What is left of them: `r` requests within `t` seconds.",
            "schema": r.TEXT,
        },
    }


def _header(schema: Schema, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "schema": schema}
