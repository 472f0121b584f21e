"""Who is told about an API key: its user, or the owners of the organization whose service account has it."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.transaction import Transaction


def addresses_of(tx: Transaction, key: ApiKey) -> Sequence[str]:
    """Return the addresses of those who are told about *key*; nobody when they are gone."""
    if key.user_id is None:
        return owner_addresses(tx, key.organization_id)
    user = tx.users.find(key.user_id)
    return [] if user is None else [user.mail_address]


def owner_addresses(tx: Transaction, organization_id: str | None, *, but: str | None = None) -> Sequence[str]:
    """
    Return the addresses of an organization's owners who are not banned.

    Args:
        but: The id of a user who is left out.
    """
    if organization_id is None:
        return []
    owners = tx.organizations.list_acting_owners(organization_id)
    return [owner.email for owner in owners if owner.email is not None and owner.user_id != but]
