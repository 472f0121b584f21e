"""What every flow needs, assembled once by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.hashing import Hashing
from czo_auth.core.mail import Links, MailDraft
from czo_auth.core.organizations import roles
from czo_auth.core.policies import Policies
from czo_auth.core.sessions.access_tokens import AccessTokens
from czo_auth.core.throttle import KeyRateLimits, RateLimits
from czo_auth.core.transaction import Lookup, Transactions
from czo_auth.core.two_factor.policy import must_renew
from czo_auth.core.users.breaches import Breaches
from czo_auth.core.users.user import User
from czo_auth.crypto.sealing import KeyRing


class Background(Protocol):
    """Background work."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* in the background; a failure is logged and affects nothing else."""

    def post(self, draft: MailDraft) -> None:
        """Send a mail in the background, so that response times reveal nothing about an address."""

    def repeat(
        self, work: Callable[[], Coroutine[Any, Any, object]], *, every: timedelta, finishes: bool = False
    ) -> None:
        """Repeat *work* until the end; with *finishes*, a run that is under way then is waited for."""

    async def finish(self) -> None:
        """Finish the work that was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """
    Attributes:
        links: The pages that mails point to.
    """

    transactions: Transactions
    lookup: Lookup
    hashing: Hashing
    key_ring: KeyRing
    access_tokens: AccessTokens
    background: Background
    limits: RateLimits
    key_limits: KeyRateLimits
    breaches: Breaches
    actors: ActorRegistry
    policies: Policies
    links: Links

    def may_service_account_use(self, scope: str) -> bool:
        """Return whether a service account may use *scope* now, if it has it (S38)."""
        return self.policies.scopes.allows_service_account(
            scope, actor_types=self.actors.not_administering, organization_role=roles.OWNER
        )

    def must_enroll(self, user: User, *, now: datetime) -> bool:
        """Return whether *user* may do nothing but enroll a second factor, or enroll theirs again (S9)."""
        return must_renew(user.renew_by, now=now) or self.actors.must_enroll(
            user.actor_types,
            user.grants,
            owns_factor=user.owns_factor,
            has_passkey=user.has_passkey,
            now=now,
        )
