"""What an operator sees of a user: the account, the state of the second factor, and counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.errors import NotFound
from czo_auth.core.flows.factors import demands_two_factor
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.listing import live_sessions
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class UserOverview:
    """
    Attributes:
        pending: Whether an enrollment waits for its first code.
        locked_until: Until when second factors are refused after wrong codes; None when they are not.
        stopped: Whether they are refused until a password reset or an operator's reset.
        passkeys: How many the user has.
        api_keys, sessions: How many live ones.
    """

    user: User
    enabled_at: datetime | None
    pending: bool
    required_by_policy: bool
    backup_codes_remaining: int
    locked_until: datetime | None
    stopped: bool
    passkeys: int
    api_keys: int
    sessions: int


async def user_overview(services: Services, email: str, *, now: datetime) -> UserOverview:
    """
    Read all of it as of a single moment.

    Raises:
        ValidationFailed: *email* is not an address.
        NotFound: No user has it.
    """
    canonical = canonical_email(email)

    def read_user(tx: Transaction) -> UserOverview:
        user = tx.users.find_by_email(canonical)
        if user is None:
            raise NotFound
        factor = tx.two_factor.find_factor(user.id)
        locked_until, stopped = tx.challenges.find_lock(user.id)
        return UserOverview(
            user=user,
            enabled_at=factor.enabled_at if factor else user.passkeys_enabled_at if user.has_factor else None,
            pending=tx.two_factor.has_enrollment(user.id, now=now),
            required_by_policy=demands_two_factor(services, tx, user),
            backup_codes_remaining=tx.two_factor.count_codes(user.id) if user.has_factor else 0,
            locked_until=locked_until if locked_until is not None and locked_until > now else None,
            stopped=stopped,
            passkeys=tx.passkeys.count(user.id),
            api_keys=tx.api_keys.count_live(user.id, now=now),
            sessions=len(live_sessions(services, tx, user.id, now=now)),
        )

    return await services.transactions.read(read_user)
