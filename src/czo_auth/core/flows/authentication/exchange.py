"""Exchange an API key for a short-lived token that other services verify offline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from czo_auth.core.errors import (
    InvalidScope,
    InvalidSubjectToken,
    InvalidTarget,
    Refusal,
    TooMany,
    Unavailable,
)
from czo_auth.core.flows.api_keys.restrictions import ClientAddress
from czo_auth.core.flows.authentication.authenticate import Authenticate
from czo_auth.core.flows.services import Services
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.access_tokens import MAX_EXCHANGED_LIFETIME, ExchangedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token, its scopes and its lifetime, as in the response."""

    access_token: str = field(repr=False)
    expires_in: timedelta
    scopes: tuple[str, ...]


class ExchangeToken:
    """
    Token exchange: the token never has more rights than the key, never outlives it, and cannot be exchanged again.

    Source: RFC 8693.
    """

    def __init__(self, services: Services, authenticate: Authenticate, *, audiences: tuple[str, ...]) -> None:
        self._services = services
        self._authenticate = authenticate
        self._audiences = frozenset({services.access_tokens.audience, *audiences})

    async def exchange(
        self,
        api_key: str,
        *,
        scopes: tuple[str, ...] | None,
        audience: str | None,
        lifetime: timedelta | None,
        client: ClientAddress,
        now: datetime,
    ) -> IssuedToken:
        """
        Exchange *api_key*; counts as a use of it.

        Args:
            scopes: By default all that the key has.
            audience: One of the configured ones; by default this deployment.
            lifetime: Cut to fifteen minutes and to the key's own end.

        Raises:
            InvalidSubjectToken: The key is not valid now; the same answer for every reason.
            InvalidTarget: The audience is not configured.
            InvalidScope: More than the key has is requested.
            ApiKeyRateLimited: The key is used too often.
            StorageUnavailable: The database does not answer.
        """
        owner = await self._owner(api_key, client=client, now=now)
        wanted = self._services.access_tokens.audience if audience is None else audience
        if wanted not in self._audiences:
            raise InvalidTarget
        granted = owner.scopes if scopes is None else scopes
        if not set(granted) <= set(owner.scopes):
            raise InvalidScope
        asked = MAX_EXCHANGED_LIFETIME if lifetime is None else min(lifetime, MAX_EXCHANGED_LIFETIME)
        ends_at = now + asked if owner.expires_at is None else min(now + asked, owner.expires_at)
        token = ExchangedToken(
            subject=owner.subject,
            api_key_id=owner.api_key_id or "",
            scopes=tuple(granted),
            audience=wanted,
            organization_id=owner.organization_id,
            ends_at=ends_at,
        )
        return IssuedToken(
            access_token=self._services.access_tokens.sign_exchanged(token, now=now),
            expires_in=ends_at - now,
            scopes=token.scopes,
        )

    async def _owner(self, api_key: str, *, client: ClientAddress, now: datetime) -> Principal:
        try:
            return await self._authenticate.api_key(api_key, client=client, now=now)
        except (Unavailable, TooMany):
            raise
        except Refusal:
            raise InvalidSubjectToken from None
