"""The one decision about a member whose organization demands two factors from a day on (S37)."""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.errors import OrganizationTwoFactorRequired
from czo_auth.core.organizations.organization import Member
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


def check_factor(tx: Transaction, member: Member) -> None:
    """
    Refuse a member who does not have the factor that their organization demands by now (S37).

    Raises:
        OrganizationTwoFactorRequired
    """
    if lacks_demanded_factor(tx, member):
        raise OrganizationTwoFactorRequired


def lacks_demanded_factor(tx: Transaction, member: Member) -> bool:
    """Whether the organization demands a factor of *member* by now that they do not have."""
    if member.two_factor_due_at is None or tx.now < member.two_factor_due_at:
        return False
    user = tx.users.find(member.user_id)
    return user is None or not user.owns_factor


def would_be_due(tx: Transaction, user: User) -> bool:
    """Whether an organization demands a factor of *user* by now, so that the last one must not go."""
    due_at = tx.factor_rules.find_earliest(user.id)
    return due_at is not None and due_at <= tx.now


def find_due_at(tx: Transaction, user: User) -> datetime | None:
    """Return from when on the first organization refuses *user*; None while they own a factor."""
    return None if user.owns_factor else tx.factor_rules.find_earliest(user.id)
