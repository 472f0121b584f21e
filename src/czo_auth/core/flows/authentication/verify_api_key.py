"""Verifying an API key for another service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from czo_auth.core.api_keys.addresses import canonical_address
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.scopes import VERIFY_KEYS
from czo_auth.core.errors import InsufficientScope, Refusal, Unavailable, ValidationFailed
from czo_auth.core.flows.authentication.authenticate import Authenticate
from czo_auth.core.flows.services import Services
from czo_auth.core.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVerdict:
    """The result for the other service; *code* says why a key is not valid."""

    valid: bool
    code: str | None = None
    api_key: ApiKey | None = None


class VerifyApiKey:
    """Decides about a key for another service, exactly as the middleware would."""

    def __init__(self, services: Services, authenticate: Authenticate) -> None:
        self._services = services
        self._authenticate = authenticate

    async def verify(
        self,
        caller: Principal,
        key: str,
        *,
        scopes: Sequence[str],
        organization_id: str | None,
        ip_address: str | None,
        now: datetime,
    ) -> KeyVerdict:
        """
        Verify *key* for a service that holds the scope ``api-keys:verify``.

        This is a use of the key and counts against its rate limit.

        Args:
            ip_address: The address of the service's client. A key with an allow-list is not valid without it, because
                an unknown address cannot be on the list.

        Raises:
            InsufficientScope: The caller is not such an API key.
            ValidationFailed: *ip_address* is not an address.
            StorageUnavailable: An outage says nothing about the credential.
        """
        if caller.kind != "api_key" or caller.is_exchanged or not caller.has_scope(VERIFY_KEYS):
            raise InsufficientScope.of([VERIFY_KEYS])
        address = None if ip_address is None else canonical_address(ip_address)
        if ip_address is not None and address is None:
            raise ValidationFailed(details=(("ipAddress", "This is no IPv4 or IPv6 address."),))
        try:
            owner = await self._authenticate.api_key(key, client=lambda: address, now=now)
            owner.require(scopes=scopes, organization_id=organization_id, service_accounts=True)
        except Unavailable:
            raise
        except Refusal as refusal:
            return KeyVerdict(valid=False, code=refusal.code)
        if caller.service_account_id is not None and owner.organization_id != caller.organization_id:
            # It has no rights outside its organization.
            return KeyVerdict(valid=False, code="INVALID_API_KEY")
        key_id = owner.api_key_id or ""
        stored = await self._services.transactions.read(lambda tx: tx.api_keys.find(key_id))
        if stored is None:
            return KeyVerdict(valid=False, code="INVALID_API_KEY")
        return KeyVerdict(valid=True, api_key=replace(stored, scopes=owner.scopes))
