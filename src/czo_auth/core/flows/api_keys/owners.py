"""Who is notified about an API key: its user, or the owners of its service account's organization."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


def recipients_of(tx: Transaction, key: ApiKey) -> Sequence[User]:
    """Return who is notified about *key*; empty if they are gone."""
    if key.user_id is None:
        return unbanned_owners(tx, key.organization_id)
    user = tx.users.find(key.user_id)
    return [] if user is None else [user]


def unbanned_owners(
    tx: Transaction, organization_id: str | None, *, but: str | None = None
) -> Sequence[User]:
    """
    Return an organization's owners who are not banned.

    Args:
        but: The id of a user who is left out.
    """
    if organization_id is None:
        return []
    owners = tx.organizations.list_unbanned_owners(organization_id)
    found = [tx.users.find(owner.user_id) for owner in owners if owner.user_id != but]
    return [user for user in found if user is not None]
