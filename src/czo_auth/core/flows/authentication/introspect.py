"""Tell an authorized service whether a credential is valid now, and what it grants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from czo_auth.core.api_keys.addresses import canonical_address
from czo_auth.core.api_keys.scopes import VERIFY_KEYS
from czo_auth.core.credentials import kind_of
from czo_auth.core.errors import InsufficientScope, InvalidToken, Refusal, Unavailable, ValidationFailed
from czo_auth.core.flows.api_keys.restrictions import ClientAddress
from czo_auth.core.flows.authentication.authenticate import Authenticate
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import time_of
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.access_tokens import VerifiedToken

TokenKind = Literal["api_key", "session", "access_token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveToken:
    """
    A valid credential.

    Attributes:
        token: The claims of an access token; None for an opaque credential.
    """

    kind: TokenKind
    principal: Principal
    token: VerifiedToken | None

    @property
    def issued_at(self) -> datetime | None:
        """When an opaque credential was made; None for an access token, whose claims tell it."""
        made = self.principal.api_key_id or self.principal.session_id
        return None if self.token is not None or made is None else time_of(made)


class Introspect:
    """
    Token introspection: the middleware's decision, for another service.

    The answer is the same for every reason why a credential is not valid, so that nobody learns the reason.

    Source: RFC 7662.
    """

    def __init__(self, services: Services, authenticate: Authenticate, *, audiences: tuple[str, ...]) -> None:
        self._services = services
        self._authenticate = authenticate
        self.issuer = services.access_tokens.issuer
        self._audiences = frozenset({services.access_tokens.audience, *audiences})

    async def introspect(
        self, caller: Principal, token: str, *, client_ip: str | None, now: datetime
    ) -> ActiveToken | None:
        """
        Decide about *token*; counts as a use of it.

        Args:
            client_ip: The address of the service's client. A key with an allow-list is not active without it.

        Returns:
            None if it is not active: unknown, expired, revoked, restricted to enrollment, or of another organization
                than the calling key is bound to.

        Raises:
            InsufficientScope: The caller is not an API key with the scope ``api-keys:verify``.
            ValidationFailed: *client_ip* is not an address.
            StorageUnavailable: An outage says nothing about the credential.
        """
        if caller.kind != "api_key" or caller.is_exchanged or not caller.has_scope(VERIFY_KEYS):
            raise InsufficientScope.of([VERIFY_KEYS])
        address = None if client_ip is None else canonical_address(client_ip)
        if client_ip is not None and address is None:
            raise ValidationFailed(details=(("client_ip", "This is no IPv4 or IPv6 address."),))
        try:
            found = await self._prove(token, client=lambda: address, now=now)
        except Unavailable:
            raise
        except Refusal:
            return None
        principal = found.principal
        if principal.restricted_to is not None or principal.organization_demands_factor:
            return None
        if caller.organization_id is not None and principal.organization_id != caller.organization_id:
            return None
        return found

    async def _prove(self, text: str, *, client: ClientAddress, now: datetime) -> ActiveToken:
        prove = self._authenticate
        match kind_of(text, api_key_prefix=self._services.policies.api_keys.prefixes):
            case "api_key":
                principal = await prove.api_key(text, client=client, now=now)
                return ActiveToken(kind="api_key", principal=principal, token=None)
            case "session":
                principal = await prove.session_token(text, now=now)
                return ActiveToken(kind="session", principal=principal, token=None)
            case "access_token":
                token, principal = await prove.verify_for_introspection(
                    text, self._audiences, client=client, now=now
                )
                return ActiveToken(kind="access_token", principal=principal, token=token)
            case _:
                raise InvalidToken
