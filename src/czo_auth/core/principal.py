"""Who a request acts for, once its credential is verified."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from czo_auth.core.errors import (
    ActorTypeMismatch,
    InsufficientScope,
    OrganizationScopeMismatch,
    OrganizationTwoFactorRequired,
    PhishingResistantFactorRequired,
    ReauthenticationRequired,
    SecondFactorNeeded,
    SessionRequired,
    TwoFactorSetupRequired,
    UserRequired,
)
from czo_auth.core.limit_report import LimitReport
from czo_auth.core.passkeys.passkey import is_phishing_resistant

TWO_FACTOR_SETUP = "two_factor_setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """
    A verified identity with its current rights from the database.

    Attributes:
        kind: ``session`` or ``api_key``.
        user_id: The user who acts; None for a service account.
        service_account_id: The service account that acts; None for a user. It belongs to ``organization_id`` and has
            neither an actor type nor a role nor a second factor: only scopes.
        actor_type: The actor type in use: the session's, or that of the session that created the key. None for a
            service account.
        actor_types: All actor types the user holds now.
        organization_id: The active organization, or the one the key is scoped to.
        organization_role: The user's role there now.
        aal: 1, or 2 when a second factor was proved in this session. An API key is 1.
        amr: Authentication methods (RFC 8176 names): ``pwd``, ``otp``, ``bkp``.
        scopes: An API key's scopes that still count; empty for a session, which is bounded by ``may_use`` alone.
        may_use: Whether the user may use a scope now (the host's scope policy).
        restricted_to: ``two_factor_setup`` on a session that may only enroll a second factor, else None.
        lineage_id: The id that a session shares with its renewals; data that belongs to a session is bound to it.
        has_factor: Whether two factors are on for the user, whether or not one was proved in this session. A passkey
            that is only a way to sign in does not count.
        is_exchanged: Whether the credential is a token that an API key was exchanged for, not the key itself.
        expires_at: When the credential ends; None for a key without an end.
        auth_time: When the password was last proved.
        factor_proved_at: When a second factor was last proved in this session.
        requires_passkey: Whether an actor type demands a passkey that the user has and this session did not use yet.
        organization_demands_factor: Whether ``organization_id`` already requires a factor that the user does not have.
        limits: The limits of an API key and what is left of them after this use; None for those without.
    """

    kind: Literal["session", "api_key"]
    user_id: str | None
    actor_type: str | None
    actor_types: frozenset[str]
    may_use: Callable[[str], bool]
    service_account_id: str | None = None
    organization_id: str | None = None
    organization_role: str | None = None
    aal: int = 1
    amr: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    session_id: str | None = None
    lineage_id: str | None = None
    api_key_id: str | None = None
    is_exchanged: bool = False
    expires_at: datetime | None = None
    restricted_to: str | None = None
    administers: bool = False
    has_factor: bool = False
    auth_time: datetime | None = None
    factor_proved_at: datetime | None = None
    requires_passkey: bool = False
    organization_demands_factor: bool = False
    limits: LimitReport | None = field(default=None, compare=False, repr=False)

    @property
    def phishing_resistant(self) -> bool:
        """Whether a passkey was used in this session."""
        return self.kind == "session" and is_phishing_resistant(aal=self.aal, amr=self.amr)

    @property
    def subject(self) -> str:
        """The id of the user or service account that acts."""
        return self.user_id or self.service_account_id or ""

    def require_user(self) -> str:
        """
        Return the id of the user who acts.

        Raises:
            UserRequired: A service account acts.
        """
        if self.user_id is None:
            raise UserRequired
        return self.user_id

    def has_scope(self, scope: str) -> bool:
        """
        Return whether *scope* is granted: by the key and its owner's current rights, or for a session by those alone.
        """
        return scope in self.scopes if self.kind == "api_key" else self.may_use(scope)

    def check_factors(self) -> None:
        """
        Refuse a session that must enroll a factor first, or use its passkey first (S9).

        Raises:
            TwoFactorSetupRequired, PhishingResistantFactorRequired
        """
        self.check_enrollment()
        if self.requires_passkey:
            raise PhishingResistantFactorRequired

    @property
    def is_restricted(self) -> bool:
        """Whether the user must do something else before a host's route is reached."""
        return self.restricted_to is not None or self.requires_passkey or self.organization_demands_factor

    def check_organization(self) -> None:
        """
        Refuse to act in an organization that demands a factor which the user does not have (S37).

        Raises:
            OrganizationTwoFactorRequired
        """
        if self.organization_demands_factor:
            raise OrganizationTwoFactorRequired

    def check_enrollment(self) -> None:
        """
        Refuse a session that must enroll a factor first (S9).

        Raises:
            TwoFactorSetupRequired
        """
        if self.restricted_to is not None:
            raise TwoFactorSetupRequired

    def require(
        self,
        *,
        actor: str | None = None,
        scopes: Collection[str] = (),
        aal: int = 1,
        organization_id: str | None = None,
        phishing_resistant: bool = False,
        service_accounts: bool = False,
    ) -> None:
        """
        Refuse unless all requirements are met.

        Args:
            service_accounts: Whether to admit service accounts, which are not users.

        Raises:
            UserRequired: A service account acts.
            TwoFactorSetupRequired: The session may only enroll.
            ActorTypeMismatch: Another actor type is asked for.
            SecondFactorNeeded: More assurance is asked for.
            InsufficientScope: Scopes are missing; ``details`` names them.
            OrganizationScopeMismatch: The principal acts in another organization.
            OrganizationTwoFactorRequired: Its organization demands a factor that the user does not have.
            PhishingResistantFactorRequired: A passkey is asked for, and none was used in this session.
        """
        if not service_accounts:
            self.require_user()
        self.check_factors()
        self.check_organization()
        if actor is not None and self.actor_type != actor:
            raise ActorTypeMismatch
        if self.aal < aal:
            raise SecondFactorNeeded
        if phishing_resistant and not self.phishing_resistant:
            raise PhishingResistantFactorRequired
        self.require_scopes(scopes)
        if organization_id is not None and self.organization_id != organization_id:
            raise OrganizationScopeMismatch

    def require_scopes(self, scopes: Collection[str]) -> None:
        """
        Refuse unless all of *scopes* are granted.

        Raises:
            InsufficientScope: ``details`` names those that are missing.
        """
        missing = [scope for scope in scopes if not self.has_scope(scope)]
        if missing:
            raise InsufficientScope.of(missing)

    def require_fresh(self, age: timedelta, *, now: datetime) -> None:
        """
        Refuse unless password and, where the user has one, second factor were proved at most *age* ago.

        Raises:
            SessionRequired: An API key proves neither.
            ReauthenticationRequired: One of them is older.
        """
        if self.kind != "session":
            raise SessionRequired
        proofs = [self.auth_time, self.factor_proved_at] if self.has_factor else [self.auth_time]
        if not all(proved_at is not None and now - proved_at <= age for proved_at in proofs):
            raise ReauthenticationRequired
