"""
Tokens for other services: introspection, token exchange and the metadata of both.

Bodies are forms, as OAuth clients send them, or JSON; unknown parameters are ignored, and errors are OAuth's.

Source: RFC 6749 sections 3.2 and 5.2, RFC 7662, RFC 8414, RFC 8693.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field
from starlette.requests import Request

from czo_auth.core.access import KEY_WITH_BASIC, PUBLIC
from czo_auth.core.errors import InvalidRequest, UnsupportedGrantType
from czo_auth.core.flows.authentication.introspect import ActiveToken
from czo_auth.core.limits import MAX_TOKEN
from czo_auth.rest import records
from czo_auth.rest.devices import DEVICE_CODE_GRANT, fetch_key
from czo_auth.rest.oauth_parameters import OAuthParameters, Parameter, Seconds, split_scope
from czo_auth.rest.records.oauth import ACCESS_TOKEN_TYPE
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.runtime import Runtime

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
API_KEY_TYPE: Final = "urn:czo-auth:token-type:api-key"
METADATA: Final = "/.well-known/oauth-authorization-server"

routes = Routes("Tokens for other services")


class IntrospectionRequest(OAuthParameters):
    token: Annotated[str, Field(min_length=1, max_length=2 * MAX_TOKEN, repr=False)]
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
async def introspect(
    body: IntrospectionRequest, call: CurrentRequest
) -> records.InactiveToken | records.ActiveToken:
    """Return whether a credential is valid, and its rights. Needs an API key with the scope `api-keys:verify`."""
    found = await call.runtime.introspect.introspect(
        call.caller, body.token, client_ip=body.client_ip, now=call.now
    )
    return introspected(found, call.runtime)


@routes.add("POST", "/token/exchange", access=PUBLIC, oauth=True)
async def exchange(body: TokenRequest, call: CurrentRequest) -> records.ExchangedToken:
    """Trade an API key for a short-lived token that another service verifies offline."""
    return await _exchange(body, call)


@routes.add("POST", "/token", access=PUBLIC, oauth=True)
async def token(body: TokenRequest, call: CurrentRequest) -> records.ExchangedToken | records.FetchedKey:
    """The token endpoint; `grant_type` selects the kind of request."""
    if body.grant_type == DEVICE_CODE_GRANT:
        return await fetch_key(call, device_code=body.device_code, client_id=body.client_id)
    return await _exchange(body, call)


@routes.add("GET", METADATA, access=PUBLIC)
async def metadata(request: Request, call: CurrentRequest) -> records.ServerMetadata:
    """Return the authorization server metadata (RFC 8414)."""
    return authorization_server_metadata(call.runtime)


def authorization_server_metadata(runtime: Runtime) -> records.ServerMetadata:
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


async def _exchange(body: TokenRequest, call: CurrentRequest) -> records.ExchangedToken:
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
    return records.ExchangedToken.of(issued)


def introspected(found: ActiveToken | None, runtime: Runtime) -> records.InactiveToken | records.ActiveToken:
    """Make the record of a credential; None is an inactive token."""
    if found is None:
        return records.InactiveToken(active=False)
    return records.ActiveToken.of(found, issuer=runtime.services.access_tokens.issuer)
