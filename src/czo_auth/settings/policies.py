"""The policies that the flows obey, made from the settings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from czo_auth.brand.brand import DEFAULT_NAME
from czo_auth.core.api_keys.key import ApiKeyPolicy
from czo_auth.core.api_keys.scopes import ScopePolicy
from czo_auth.core.events.types import AuditPolicy
from czo_auth.core.limits import MAX_API_KEYS_A_DAY
from czo_auth.core.organizations.organization import OrganizationPolicy
from czo_auth.core.passkeys.policy import PasskeyPolicy, passkey_origins
from czo_auth.core.policies import Policies
from czo_auth.core.sessions.session import SessionPolicy
from czo_auth.core.two_factor.policy import TwoFactorPolicy
from czo_auth.core.users.password_policy import PasswordPolicy
from czo_auth.core.users.user_fields import NO_USER_FIELDS
from czo_auth.core.webhooks.webhook import WebhookPolicy
from czo_auth.extras import is_installed
from czo_auth.user_fields import ModelFields

if TYPE_CHECKING:
    from czo_auth.settings.settings import Settings


def policies_of(settings: Settings) -> Policies:
    """Return the policies that *settings* make."""
    return Policies(
        passwords=PasswordPolicy(refuse_common=settings.refuse_common_passwords),
        sessions=SessionPolicy(
            lifetime=timedelta(days=settings.session_days),
            access_token_lifetime=timedelta(minutes=settings.access_token_minutes),
            idle=timedelta(minutes=settings.session_idle_minutes) if settings.session_idle_minutes else None,
        ),
        two_factor=TwoFactorPolicy(
            issuer=settings.issuer_name,
            drift=settings.totp_drift,
            trust_mandatory_devices=settings.trust_mandatory_devices,
            reset_wait=timedelta(seconds=settings.recovery_wait_seconds),
        ),
        passkeys=PasskeyPolicy(
            rp_id=settings.rp_id if is_installed("passkeys") else None,
            rp_name=settings.shown_brand.name or DEFAULT_NAME,
            origins=passkey_origins(settings.public_url, settings.trusted_origins),
        ),
        api_keys=ApiKeyPolicy(
            prefix=settings.api_key_prefix,
            retired=settings.retired_formats(),
            limit=settings.api_key_limit,
            daily_limit=settings.api_key_daily_limit or max(MAX_API_KEYS_A_DAY, 5 * settings.api_key_limit),
            longest_days=settings.api_key_max_days,
            unused_days=settings.api_key_unused_days,
            when_leaked=settings.leaked_api_keys,
            records_addresses=settings.record_key_addresses,
        ),
        scopes=ScopePolicy(settings.scope_rule),
        organizations=OrganizationPolicy(limit=settings.organization_limit),
        audit=AuditPolicy(
            keep_records=_days(settings.audit_retention_days),
            keep_addresses=_days(settings.audit_address_days),
        ),
        webhooks=WebhookPolicy(
            pauses=tuple(timedelta(seconds=seconds) for seconds in settings.webhook_retry_seconds),
            time_limit=timedelta(seconds=settings.webhook_timeout_seconds),
            allowed_hosts=frozenset(settings.webhook_allowed_hosts),
            organization_allowed_hosts=frozenset(settings.organization_webhook_allowed_hosts),
            available=is_installed("webhooks"),
        ),
        user_fields=NO_USER_FIELDS if settings.user_fields is None else ModelFields(settings.user_fields),
        require_email_verification=settings.require_email_verification,
        confirms_sign_up=settings.require_email_verification or settings.confirms_sign_up,
        limits_guesses=settings.rate_limit_enabled,
    )


def _days(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(days=number)
