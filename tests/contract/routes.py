"""Every route of a deployment, as its OpenAPI document lists them, with what a call of it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.contract.api import Api

NOWHERE = "0195e0f0-0000-7000-8000-000000000000"
"""An id that nothing has."""

PUBLIC = {
    "POST /{actor}/sign-up",
    "POST /{actor}/sign-in/email",
    "POST /sign-up/email",
    "POST /sign-in/email",
    "POST /token/refresh",
    "POST /token",
    "POST /token/exchange",
    "GET /.well-known/oauth-authorization-server",
    "POST /device/code",
    "POST /device/token",
    "POST /request-password-reset",
    "POST /reset-password",
    "POST /two-factor/reset/cancel",
    "POST /send-verification-email",
    "GET /verify-email",
    "POST /revert-email-change",
    "POST /secure-account",
    "POST /reject-verification",
    "GET /jwks",
    "POST /api-keys/report-leak",
    "GET /passkey/generate-authenticate-options",
    "POST /passkey/verify-authentication",
}
"""What needs no credential. Written out here, so that a new route is closed until somebody opens it twice."""

WITH_OR_WITHOUT = {
    "POST /sign-out",
    "GET /get-session",
    "POST /two-factor/verify",
    "POST /two-factor/verify-totp",
    "POST /two-factor/verify-backup-code",
    "POST /two-factor/passkey-options",
    "POST /two-factor/verify-passkey",
}
"""What a session is good for, and its lack no refusal by itself: a challenge may stand in for it."""

ENROLLING = {
    "GET /two-factor",
    "POST /two-factor/enable",
    "POST /two-factor/verify",
    "POST /two-factor/verify-totp",
    "POST /two-factor/get-totp-uri",
    "GET /passkey/generate-register-options",
    "POST /passkey/verify-registration",
    "GET /session",
    "GET /whoami",
    "GET /get-session",
    "POST /sign-out",
    "POST /token/refresh",
}
"""docs/reference/rest.md: what a session that may only enroll is let through to, beside what needs no credential."""

WITH_AN_API_KEY = {"GET /whoami", "POST /api-keys/verify", "POST /introspect"}
"""What an API key reaches, beside reading organizations."""

OAUTH = {
    *("/token", "/token/exchange", "/token/refresh", "/introspect"),
    *("/device/code", "/device/token", "/device/approve", "/device/deny"),
}
"""Paths that take forms too, ignore parameters that they do not know, and tell errors as OAuth does."""


@dataclass(frozen=True)
class Field:
    """
    One field of a body, by its schema.

    Attributes:
        types: JSON types that it may have: string, integer, boolean, array, object, null.
    """

    name: str
    required: bool
    types: frozenset[str]


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    fields: tuple[Field, ...]
    query: tuple[str, ...]
    parameters: tuple[str, ...]
    has_body: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def address(self, **values: str) -> str:
        """Fill in the path; what is not given names nothing that exists, but for the actor type."""
        filled = {"actor": "customer", **values}
        return re.sub(r"\{(\w+)\}", lambda found: filled.get(found[1], NOWHERE), self.path)

    def leads_to(self, address: str) -> bool:
        """Say whether *address* is one of this route's."""
        return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", self.path), address) is not None


FORWARD_AUTH = "/forward-auth"


async def every_route(api: Api) -> list[Route]:
    """Read the OpenAPI document. Forward authentication is left out: it takes any method and answers proxies."""
    document = accepted_document(await api.http.get("/api/auth/openapi.json"))
    schemas = document["components"]["schemas"]
    routes = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items() if path != FORWARD_AUTH else ():
            parameters = operation.get("parameters", [])
            body = operation.get("requestBody")
            schema: dict[str, Any] = {}
            if body is not None:
                schema = _resolved(body["content"]["application/json"]["schema"], schemas)
            required = set(schema.get("required", []))
            fields = [
                Field(name, name in required, _types(part, schemas))
                for name, part in schema.get("properties", {}).items()
            ]
            routes.append(
                Route(
                    method=method.upper(),
                    path=path,
                    fields=tuple(fields),
                    query=tuple(one["name"] for one in parameters if one["in"] == "query"),
                    parameters=tuple(one["name"] for one in parameters if one["in"] == "path"),
                    has_body=body is not None,
                )
            )
    assert len(routes) > 50
    return routes


def accepted_document(answer: Any) -> dict[str, Any]:
    """Give the document; its keys are not ours to name."""
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: dict[str, Any] = schemas[reference.rpartition("/")[2]]
    return found


def _types(schema: dict[str, Any], schemas: dict[str, Any]) -> frozenset[str]:
    schema = _resolved(schema, schemas)
    parts = schema.get("anyOf") or schema.get("oneOf") or [schema]
    found = [_resolved(part, schemas).get("type") for part in parts]
    assert all(isinstance(name, str) for name in found), schema
    return frozenset(found)
