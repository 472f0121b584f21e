"""Verifying credentials for an MCP server, in process or over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from czo_auth.asgi.protected_resource import GUARDED_REQUEST, defer_refusal
from czo_auth.core.errors import Refusal, Unavailable
from czo_auth.crypto.tokens import SESSION

if TYPE_CHECKING:
    from czo_auth.auth import Auth
    from czo_auth.core.principal import Principal

_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCredential:
    """
    The data of a credential that both frameworks use.

    Attributes:
        client_id: The id of the key; for a session, the id that it shares with its renewals.
        expires_at: Unit: seconds since 1970.
        resource: The resource that it is valid for.
    """

    token: str = field(repr=False)
    client_id: str
    scopes: list[str]
    expires_at: int | None
    resource: str | None
    subject: str | None
    claims: dict[str, Any]


class CredentialVerifier(Protocol):
    """Verifies a credential, or returns None."""

    async def verify(self, token: str) -> VerifiedCredential | None: ...
    async def close(self) -> None: ...


class LocalVerifier:
    """Verifies with the deployment in this process."""

    def __init__(self, auth: Auth, *, resource: str | None, scopes: tuple[str, ...]) -> None:
        self._auth = auth
        self._resource = resource
        self._scopes = scopes
        self._audience = resource if resource in auth.settings.token_audiences else None

    async def verify(self, token: str) -> VerifiedCredential | None:
        """
        Decide as the middleware does; a refusal for another reason than the credential is recorded for the response.
        """
        request = GUARDED_REQUEST.get()
        try:
            principal = await self._auth.authenticate_token(
                token, ip=None if request is None else request.address, audience=self._audience
            )
            principal.check_factors()
        except Exception as error:
            defer_refusal(error)
            return None
        return self._described(principal, token)

    async def close(self) -> None:
        """Nothing to close: the deployment is the host's."""

    def _described(self, principal: Principal, token: str) -> VerifiedCredential:
        is_key = principal.kind == "api_key"
        claims = {
            "iss": self._auth.services.access_tokens.issuer,
            "sub": principal.subject,
            "token_type": principal.kind,
            "act_type": principal.actor_type,
            "org": principal.organization_id,
            "aal": principal.aal,
        }
        return VerifiedCredential(
            token=token,
            client_id=(principal.api_key_id if is_key else principal.lineage_id or principal.session_id)
            or "",
            scopes=list(principal.scopes)
            if is_key
            else [scope for scope in self._scopes if principal.has_scope(scope)],
            expires_at=None if principal.expires_at is None else int(principal.expires_at.timestamp()),
            resource=self._resource,
            subject=principal.subject,
            claims={name: value for name, value in claims.items() if value is not None},
        )


class RemoteVerifier:
    """Verifies with a remote deployment, by RFC 7662."""

    def __init__(self, url: str, api_key: str, *, resource: str) -> None:
        self._url = url.rstrip("/") + "/introspect"
        self._headers = {"authorization": f"Bearer {api_key}"}
        self._resource = resource
        self._client: httpx.AsyncClient | None = None

    async def verify(self, token: str) -> VerifiedCredential | None:
        """
        Query; a status other than 200 means a configuration error or an outage, and says nothing about the credential.
        """
        if token.startswith(SESSION):
            # A session is only for the deployment itself, so it need not be sent.
            return None
        try:
            introspected = await self._ask(token)
        except Refusal as refusal:
            defer_refusal(refusal)
            return None
        if not introspected.get("active"):
            return None
        kind = introspected.get("token_type")
        if kind != "api_key" and not (kind == "access_token" and introspected.get("aud") == self._resource):
            return None
        scope = introspected.get("scope") or ""
        return VerifiedCredential(
            token=token,
            client_id=introspected["client_id"],
            scopes=scope.split(" ") if scope else [],
            expires_at=introspected.get("exp"),
            resource=self._resource,
            subject=introspected.get("sub"),
            claims={name: value for name, value in introspected.items() if name != "active"},
        )

    async def close(self) -> None:
        """Close the connections to the deployment."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(self, token: str) -> dict[str, Any]:
        request = GUARDED_REQUEST.get()
        form = {"token": token}
        if request is not None and request.address is not None:
            form["client_ip"] = request.address
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS)
        try:
            answer = await self._client.post(self._url, data=form, headers=self._headers)
            answer.raise_for_status()
            introspected: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError):
            raise Unavailable from None
        return introspected
