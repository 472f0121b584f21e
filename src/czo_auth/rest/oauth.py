"""
Tokens for other services: introspection, exchange and the metadata that names both.

Bodies are forms, as OAuth clients send them, or JSON; unknown parameters are ignored, and errors are OAuth's.

Source: RFC 6749 sections 3.2 and 5.2, RFC 7662, RFC 8414, RFC 8693.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from czo_auth.asgi.limit_headers import limit_fields
from czo_auth.core.access import KEY_WITH_BASIC, PUBLIC
from czo_auth.core.errors import InvalidRequest, UnsupportedGrantType
from czo_auth.core.flows.authentication.introspect import ActiveToken
from czo_auth.core.principal import Principal
from czo_auth.rest.devices import DEVICE_CODE_GRANT, fetch_key
from czo_auth.rest.oauth_parameters import OAuthParameters, Parameter, Seconds, split_scope
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.runtime import Runtime

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
API_KEY_TYPE: Final = "urn:czo-auth:token-type:api-key"
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
METADATA: Final = "/.well-known/oauth-authorization-server"

routes = Routes("Tokens for other services")


class IntrospectionRequest(OAuthParameters):
    token: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]
    token_type_hint: Parameter = None
    client_ip: Parameter = None


class TokenRequest(OAuthParameters):
    grant_type: Parameter = None
    subject_token: Annotated[Parameter, Field(repr=False)] = None
    subject_token_type: Parameter = None
    requested_token_type: Parameter = None
    device_code: Annotated[Parameter, Field(repr=False)] = None
    client_id: Parameter = None
    scope: Parameter = None
    audience: Parameter = None
    expires_in: Seconds = None


@routes.add("POST", "/introspect", access=KEY_WITH_BASIC, oauth=True)
async def introspect(body: IntrospectionRequest, call: CurrentRequest) -> Response:
    """Say whether a credential counts now, and for what. Needs an API key with the scope `api-keys:verify`."""
    found = await call.runtime.introspect.introspect(
        call.principal, body.token, client_ip=body.client_ip, now=call.now
    )
    return JSONResponse(introspection_answer(found, call.runtime))


@routes.add("POST", "/token/exchange", access=PUBLIC, oauth=True)
async def exchange(body: TokenRequest, call: CurrentRequest) -> Response:
    """Trade an API key for a short-lived token that another service verifies offline."""
    return await _exchange(body, call)


@routes.add("POST", "/token", access=PUBLIC, oauth=True)
async def token(body: TokenRequest, call: CurrentRequest) -> Response:
    """The token endpoint: what is asked for is said by `grant_type`."""
    if body.grant_type == DEVICE_CODE_GRANT:
        return await fetch_key(call, device_code=body.device_code, client_id=body.client_id)
    return await _exchange(body, call)


@routes.add("GET", METADATA, access=PUBLIC)
async def metadata(request: Request, call: CurrentRequest) -> Response:
    """Where the endpoints are and what they take (RFC 8414)."""
    return JSONResponse(authorization_server_metadata(call.runtime))


def authorization_server_metadata(runtime: Runtime) -> dict[str, object]:
    """Describe the deployment to OAuth clients."""
    settings = runtime.settings
    base = settings.public_url + settings.base_path
    return {
        "issuer": runtime.services.access_tokens.issuer,
        "jwks_uri": f"{base}/jwks",
        "token_endpoint": f"{base}/token",
        "token_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint": f"{base}/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "bearer"],
        "device_authorization_endpoint": f"{base}/device/code",
        "grant_types_supported": [TOKEN_EXCHANGE, DEVICE_CODE_GRANT],
        "response_types_supported": [],
    }


async def _exchange(body: TokenRequest, call: CurrentRequest) -> Response:
    if body.grant_type is None:
        raise InvalidRequest("The parameter grant_type is missing.")
    if body.grant_type != TOKEN_EXCHANGE:
        raise UnsupportedGrantType
    if body.subject_token is None:
        raise InvalidRequest("The parameter subject_token is missing.")
    if body.subject_token_type != API_KEY_TYPE:
        raise InvalidRequest(f"The parameter subject_token_type must be {API_KEY_TYPE}.")
    if body.requested_token_type not in (None, ACCESS_TOKEN_TYPE):
        raise InvalidRequest(f"Only tokens of type {ACCESS_TOKEN_TYPE} are issued.")
    issued = await call.runtime.exchange_token.exchange(
        body.subject_token,
        scopes=split_scope(body.scope),
        audience=body.audience,
        lifetime=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        client=lambda: call.context.ip,
        now=call.now,
    )
    return JSONResponse(
        {
            "access_token": issued.access_token,
            "issued_token_type": ACCESS_TOKEN_TYPE,
            "token_type": "Bearer",
            "expires_in": int(issued.expires_in.total_seconds()),
            "scope": " ".join(issued.scopes),
        }
    )


def introspection_answer(found: ActiveToken | None, runtime: Runtime) -> dict[str, object]:
    """Shape what was found; of an active token, what does not apply is left out (RFC 7662 section 2.2)."""
    if found is None:
        return {"active": False}
    principal, said = found.principal, found.token
    ends_at = principal.expires_at
    shaped: dict[str, object | None] = {
        "token_type": found.kind,
        "sub": principal.subject,
        "client_id": principal.api_key_id,
        "scope": " ".join(principal.scopes) if principal.kind == "api_key" else None,
        "exp": said.ends_at if said else None if ends_at is None else int(ends_at.timestamp()),
        "iat": said.issued_at
        if said
        else None
        if found.issued_at is None
        else int(found.issued_at.timestamp()),
        "iss": runtime.services.access_tokens.issuer,
        "aud": said.audience if said else None,
        "act_type": principal.actor_type,
        "org": principal.organization_id,
        "aal": principal.aal,
        "amr": list(principal.amr) or None,
        "phr": principal.phishing_resistant or None,
        "jti": said.token_id if said else None,
        **_limits(principal),
    }
    return {"active": True, **{name: value for name, value in shaped.items() if value is not None}}


def _limits(principal: Principal) -> dict[str, str]:
    """Tell the limits of an API key as the headers do; the service that asks may pass them on."""
    if principal.limits is None:
        return {}
    policy, remaining = limit_fields(principal.limits)
    return {"ratelimit_policy": policy, "ratelimit": remaining}
