"""The OpenAPI document: FastAPI's, completed from the facts that routes declare."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from czo_auth.asgi.caching import JWKS_CACHE_CONTROL
from czo_auth.asgi.forward_auth import PATH as FORWARD_AUTH
from czo_auth.core.errors import Refusal
from czo_auth.rest import records
from czo_auth.rest.openapi.forward_auth import forward_auth_operation
from czo_auth.rest.openapi.schemas import schemas_of
from czo_auth.rest.records import Schema
from czo_auth.rest.routing import GuardedRoute

_MEANINGS: Final[dict[int, str]] = {
    400: "Malformed, invalid, or not acceptable in this state.",
    401: "No credential, or one that is not valid.",
    403: "Not allowed.",
    404: "Unknown, or not the caller's.",
    408: "The body took too long to arrive.",
    409: "In conflict with the current state.",
    413: "The body is too large.",
    415: "The content type or encoding of the body is not supported.",
    422: "Understood, but it cannot be done.",
    429: "Too many attempts, or too many requests.",
    503: "The database is busy or down. Nothing was done.",
}
_TEXT: Final[Schema] = {"type": "string"}
_HANDS_OUT_TOKEN: Final = (records.SignedIn, records.RegisteredPasskey)
"""Routes that answer with one of these may send a session token in the header ``set-auth-token``."""
_WITH_A_BODY: Final = frozenset({408, 413, 415})
_CREDENTIALS: Final[dict[str, list[dict[str, list[str]]]]] = {
    "none": [],
    "optional_session": [{}, {"bearer": []}, {"sessionCookie": []}],
    "session": [{"bearer": []}, {"sessionCookie": []}],
    "any": [{"bearer": []}, {"sessionCookie": []}],
}


def openapi_document(app: FastAPI, *, session_cookie: str, user_fields: Collection[str]) -> dict[str, Any]:
    """
    Describe *app* precisely enough for a client or a test to recognize a wrong response.

    Args:
        session_cookie: Name of the session cookie of this deployment.
        user_fields: Names of the host's own fields of users.
    """
    document = get_openapi(
        title=app.title, version=app.version, routes=app.routes, servers=app.servers, openapi_version="3.1.0"
    )
    schemas = document["components"]["schemas"]
    # The framework's own schema of validation errors, which no route returns.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    answers = _answers(app)
    bodies, named = schemas_of(answers)
    schemas |= named
    schemas["Problem"] = _problem()
    _describe_user_fields(schemas, user_fields)
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
            name = f"{method.upper()} {path}"
            _complete(operation, name, bodies, may_enter=_hands_out_token(answers.get(name)))
    document["paths"][FORWARD_AUTH] = {"get": forward_auth_operation(_refused, _limit_headers())}
    return document


def _describe_user_fields(schemas: dict[str, Schema], names: Collection[str]) -> None:
    """Add the host's own fields to users; sign-up takes no other field where there are none."""
    for model in (records.User, records.AdministeredUser):
        schema = schemas[model.__name__]
        schema["properties"] |= {name: {} for name in sorted(names)}
        schema["required"] += sorted(names)
    if not names:
        schemas["SignUpRequest"]["additionalProperties"] = False


def _answers(app: FastAPI) -> dict[str, Any]:
    """Return the declared response types of the routes, by method and path."""
    return {
        f"{method} {route.path_format}": route.answer
        for route in app.routes
        if isinstance(route, GuardedRoute) and route.include_in_schema and route.answer is not None
        for method in route.methods or ()
    }


def _hands_out_token(answer: Any) -> bool:
    return any(kind in _HANDS_OUT_TOKEN for kind in (answer, *get_args(answer)))


def _complete(operation: dict[str, Any], name: str, bodies: dict[str, Schema], *, may_enter: bool) -> None:
    operation["security"] = _CREDENTIALS[operation["x-credential"]]
    (success,) = (status for status in operation["responses"] if status.startswith("2"))
    done: dict[str, Any] = {"description": "Done.", "headers": _always()}
    if name == "GET /jwks":
        done["headers"] = {"Cache-Control": _header({"const": JWKS_CACHE_CONTROL})}
    if success != "204":
        done["content"] = {"application/json": {"schema": bodies[name]}}
    if may_enter:
        done["headers"]["set-auth-token"] = _header(records.token_schema("czs_"), required=False)
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
        # Absent if verification is stopped until a reset: waiting does not help then.
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
    # A field; or a kind of object and its id or name, as in LAST_OWNER and INSUFFICIENT_SCOPE.
    loc: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
    detail = {
        "type": "object",
        "properties": {"loc": loc, "msg": _TEXT},
        "required": ["loc", "msg"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "code": {"enum": sorted({kind.code for kind in _kinds(Refusal) if hasattr(kind, "code")})},
            "message": _TEXT,
            "status": {"enum": sorted({*_MEANINGS, 405})},
            # These two on OAuth endpoints only.
            "error": _TEXT,
            "error_description": _TEXT,
            "details": {"type": "array", "items": detail},
            "retryAfter": {"type": "integer", "minimum": 0},
        },
        "required": ["code", "message", "status"],
        "additionalProperties": False,
    }


def _kinds(of: type[Refusal]) -> list[type[Refusal]]:
    return [of, *(kind for below in of.__subclasses__() for kind in _kinds(below))]


def _always() -> dict[str, Any]:
    return {"Cache-Control": _header({"const": "no-store"})}


def _limit_headers() -> dict[str, Any]:
    """Describe the headers that report the limits of an API key."""
    return {
        "RateLimit-Policy": {
            "required": False,
            "description": "The limits of the API key, if it has any: `q` requests in `w` seconds.",
            "schema": _TEXT,
        },
        "RateLimit": {
            "required": False,
            "description": "What remains of the limits: `r` requests within `t` seconds.",
            "schema": _TEXT,
        },
    }


def _header(schema: Schema, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "schema": schema}
