"""All policies of one deployment, as the flows see them."""

from __future__ import annotations

from dataclasses import dataclass, field

from czo_auth.core.api_keys.key import ApiKeyPolicy
from czo_auth.core.api_keys.scopes import ScopePolicy
from czo_auth.core.events.types import AuditPolicy
from czo_auth.core.organizations.organization import OrganizationPolicy
from czo_auth.core.passkeys.policy import PasskeyPolicy
from czo_auth.core.sessions.session import SessionPolicy
from czo_auth.core.two_factor.policy import TwoFactorPolicy
from czo_auth.core.users.password_policy import PasswordPolicy
from czo_auth.core.users.user_fields import NO_USER_FIELDS, UserFields
from czo_auth.core.webhooks.webhook import WebhookPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """
    Attributes:
        user_fields: The host's own fields of users.
        require_email_verification: Whether an unconfirmed address keeps its owner from signing in.
        confirms_sign_up: Whether a new user is mailed a link that confirms the address, though nothing depends on it.
        limits_guesses: Whether wrong passwords delay later attempts.
    """

    passwords: PasswordPolicy = field(default_factory=PasswordPolicy)
    sessions: SessionPolicy = field(default_factory=SessionPolicy)
    two_factor: TwoFactorPolicy = field(default_factory=TwoFactorPolicy)
    passkeys: PasskeyPolicy = field(default_factory=PasskeyPolicy)
    api_keys: ApiKeyPolicy = field(default_factory=ApiKeyPolicy)
    scopes: ScopePolicy = field(default_factory=ScopePolicy)
    organizations: OrganizationPolicy = field(default_factory=OrganizationPolicy)
    audit: AuditPolicy = field(default_factory=AuditPolicy)
    webhooks: WebhookPolicy = field(default_factory=WebhookPolicy)
    user_fields: UserFields = NO_USER_FIELDS
    require_email_verification: bool = False
    confirms_sign_up: bool = False
    limits_guesses: bool = True
