"""The OpenAPI description of forward authentication, which is not a route of the framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from czo_auth.asgi.forward_auth import ERROR_HEADER, HEADERS

STATUSES: Final = (400, 401, 403, 503)
_TEXT: Final = {"type": "string"}
_MEANINGS: Final = (
    "`session` or `api_key`.",
    "The user's id; empty for a service account.",
    "The service account's id.",
    "The actor type.",
    "The organization in which the caller acts.",
    "A key's scopes, with one space between them.",
    "The key's id.",
)
"""Of the headers, in their order."""
_DESCRIPTION: Final = (
    "Decide whether a reverse proxy may forward a request.\n\n"
    "For nginx (`auth_request`), Traefik (`ForwardAuth`) and Envoy (`ext_authz`). Takes any method, and any path below "
    "it, as Envoy appends the client's; the body is ignored. "
    "With a session cookie, `X-Forwarded-Method` or `X-Original-Method` of a trusted proxy decides whether the origin "
    "is checked; without one the request counts as writing."
)


def forward_auth_operation(
    refused: Callable[[int], dict[str, Any]], limits: dict[str, Any]
) -> dict[str, Any]:
    """
    Describe ``GET /forward-auth``.

    Args:
        refused: Describes the refusal with a status.
        limits: The headers that report the limits of an API key.
    """
    headers = {
        name: {"required": True, "description": f"{meaning} Empty where there is none.", "schema": _TEXT}
        for name, meaning in zip(HEADERS, _MEANINGS, strict=True)
    }
    code = {
        ERROR_HEADER.decode(): {"required": True, "description": "The code of the refusal.", "schema": _TEXT}
    }
    refusals = {}
    for status in STATUSES:
        response = refused(status)
        refusals[str(status)] = {**response, "headers": {**response["headers"], **code, **limits}}
    always = {"Cache-Control": {"required": True, "schema": {"const": "no-store"}}}
    return {
        "tags": ["Tokens for other services"],
        "summary": "Forward authentication",
        "description": _DESCRIPTION,
        "operationId": "get_forward_auth",
        "x-credential": "any",
        "security": [{"bearer": []}, {"sessionCookie": []}],
        "parameters": [
            _parameter("scopes", "All of these scopes are needed; separated by plus signs.", _TEXT),
            _parameter("aal", "2 requires a second factor proved in this session.", {"enum": ["1", "2"]}),
            _parameter("actor", "Requires an actor type.", _TEXT),
            _parameter("phr", "`true` requires a passkey used in this session.", {"enum": ["true", "false"]}),
        ],
        "responses": {
            "200": {
                "description": "The proxy may forward the request.",
                "headers": {**always, **headers, **limits},
            },
            **refusals,
        },
    }


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
