"""Tokens for other services, and the keys that verify them. Source: RFC 7517, RFC 7662, RFC 8693."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import WithJsonSchema

from czo_auth.asgi.limit_headers import limit_fields
from czo_auth.core.flows.authentication import introspect as flow
from czo_auth.core.flows.authentication.exchange import IssuedToken
from czo_auth.rest.records.base import ABSENT_IF_NONE, Count, OAuthRecord
from czo_auth.rest.records.sessions import Assurance

ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
ServerMetadata = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
"""Authorization server metadata. Source: RFC 8414."""


class InactiveToken(OAuthRecord):
    """A token that is not valid, for any reason."""

    active: Literal[False]


class ActiveToken(OAuthRecord):
    """
    A valid token. Fields that do not apply are absent. Source: RFC 7662 section 2.2.

    Attributes:
        exp, iat: Unit: seconds since 1970.
        ratelimit_policy, ratelimit: The limits of an API key, as in the headers; the calling service may pass them on.
    """

    active: Literal[True]
    token_type: flow.TokenKind
    sub: str
    client_id: str | None = ABSENT_IF_NONE
    scope: str | None = ABSENT_IF_NONE
    exp: Count | None = ABSENT_IF_NONE
    iat: Count | None = ABSENT_IF_NONE
    iss: str
    aud: str | list[str] | None = ABSENT_IF_NONE
    act_type: str | None = ABSENT_IF_NONE
    org: str | None = ABSENT_IF_NONE
    aal: Assurance
    amr: list[str] | None = ABSENT_IF_NONE
    phr: Literal[True] | None = ABSENT_IF_NONE
    jti: str | None = ABSENT_IF_NONE
    ratelimit_policy: str | None = ABSENT_IF_NONE
    ratelimit: str | None = ABSENT_IF_NONE

    @classmethod
    def of(cls, found: flow.ActiveToken, *, issuer: str) -> Self:
        """Make the record of a credential; *issuer* is this deployment."""
        principal, said = found.principal, found.token
        policy, remaining = (None, None) if principal.limits is None else limit_fields(principal.limits)
        return cls(
            active=True,
            token_type=found.kind,
            sub=principal.subject,
            client_id=principal.api_key_id,
            scope=" ".join(principal.scopes) if principal.kind == "api_key" else None,
            exp=said.ends_at if said else _seconds(principal.expires_at),
            iat=said.issued_at if said else _seconds(found.issued_at),
            iss=issuer,
            aud=said.audience if said else None,
            act_type=principal.actor_type,
            org=principal.organization_id,
            aal=principal.aal,
            amr=list(principal.amr) or None,
            phr=True if principal.phishing_resistant else None,
            jti=said.token_id if said else None,
            ratelimit_policy=policy,
            ratelimit=remaining,
        )


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


class ExchangedToken(OAuthRecord):
    """A token that was issued in exchange for an API key. Source: RFC 8693 section 2.2."""

    access_token: str
    issued_token_type: str
    token_type: Literal["Bearer"]
    expires_in: Count
    scope: str

    @classmethod
    def of(cls, issued: IssuedToken) -> Self:
        """Make the record of *issued*."""
        return cls(
            access_token=issued.access_token,
            issued_token_type=ACCESS_TOKEN_TYPE,
            token_type="Bearer",  # noqa: S106 - the name of a type
            expires_in=int(issued.expires_in.total_seconds()),
            scope=" ".join(issued.scopes),
        )


class JsonWebKey(OAuthRecord):
    """A public key of access tokens. Source: RFC 7517 section 4."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    use: Literal["sig"]
    alg: Literal["ES256"]
    kid: str


class JsonWebKeySet(OAuthRecord):
    """The public keys of access tokens. Source: RFC 7517 section 5."""

    keys: list[JsonWebKey]
