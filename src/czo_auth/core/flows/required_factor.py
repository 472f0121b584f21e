"""The decision about users who must have two factors from a certain date (S37)."""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.errors import OrganizationTwoFactorRequired
from czo_auth.core.flows.services import Services
from czo_auth.core.organizations.organization import Member
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


def check_factor(tx: Transaction, member: Member) -> None:
    """
    Refuse a member who lacks the factor that their organization already requires (S37).

    Raises:
        OrganizationTwoFactorRequired
    """
    if lacks_required_factor(tx, member):
        raise OrganizationTwoFactorRequired


def lacks_required_factor(tx: Transaction, member: Member) -> bool:
    """Whether the organization already requires a factor that *member* lacks."""
    if member.two_factor_due_at is None or tx.now < member.two_factor_due_at:
        return False
    user = tx.users.find(member.user_id)
    return user is None or not user.owns_factor


def requires_factor_now(tx: Transaction, user: User) -> bool:
    """Whether an organization already requires a factor of *user*, so that the last one must not be removed."""
    due_at = tx.factor_rules.find_earliest(user.id)
    return due_at is not None and due_at <= tx.now


def find_due_at(services: Services, tx: Transaction, user: User) -> datetime | None:
    """Return the earliest date from which an organization or dated actor type requires a factor that *user* lacks."""
    by_organization = None if user.owns_factor else tx.factor_rules.find_earliest(user.id)
    return earliest(find_due_at_by_type(services, user), by_organization)


def find_due_at_by_type(services: Services, user: User) -> datetime | None:
    """Return the earliest date from which a dated actor type requires a factor that *user* lacks."""
    return services.actors.find_due_at(
        user.actor_types, user.grants, owns_factor=user.owns_factor, has_passkey=user.has_passkey
    )


def earliest(*dates: datetime | None) -> datetime | None:
    """Return the earliest date; None if there is none."""
    return min((each for each in dates if each is not None), default=None)
