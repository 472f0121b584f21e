"""Verifying a credential outside a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from czo_auth.core.credentials import kind_of
from czo_auth.core.errors import InvalidToken, TwoFactorSetupRequired
from czo_auth.core.principal import Principal

if TYPE_CHECKING:
    from czo_auth.runtime import Runtime


async def authenticate_token(
    runtime: Runtime,
    text: str,
    *,
    ip: str | None,
    audience: str | None = None,
    service_accounts: bool = False,
) -> Principal:
    """
    Verify a credential, as the middleware does for routes of the host.

    Raises:
        UserRequired, InvalidToken, InvalidApiKey, TwoFactorSetupRequired, OrganizationTwoFactorRequired,
        IpAddressNotAllowed, ApiKeyRateLimited, StorageUnavailable
    """
    await runtime.start()
    now, authenticate = runtime.now(), runtime.authenticate
    is_own = audience in (None, runtime.services.access_tokens.audience)
    match kind_of(text, api_key_prefix=runtime.settings.key_prefixes):
        case "api_key":
            principal = await authenticate.api_key(text, client=lambda: ip, now=now)
        case "session" if is_own:
            principal = await authenticate.session_token(text, now=now)
        case "access_token" if is_own:
            principal = await authenticate.access_token(text, client=lambda: ip, now=now)
        case "access_token" if audience in runtime.settings.token_audiences:
            _, principal = await authenticate.verify_for_introspection(
                text, (audience,), client=lambda: ip, now=now
            )
        case _:
            raise InvalidToken
    if principal.restricted_to is not None:
        raise TwoFactorSetupRequired
    principal.check_organization()
    if not service_accounts:
        principal.require_user()
    return principal
