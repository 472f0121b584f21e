"""Mails to owners of organizations about keys of service accounts, which belong to no single person."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.store import KeyFilter
from czo_auth.core.flows.api_keys.owners import unbanned_owners
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import MAX_LISTED_KEYS
from czo_auth.core.mail import MailDraft
from czo_auth.core.mail_drafts import (
    KeyEnding,
    MadeKey,
    compose_key_changed,
    compose_keys_made_by,
)
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.transaction import Transaction


def compose_notices_of_created_keys(
    tx: Transaction, services: Services, organization: Organization, user_id: str, *, name: str
) -> Sequence[MailDraft]:
    """
    Compose the mails that list the keys created or rotated by someone who was removed, demoted or banned.

    Such keys stay valid; the owners decide whether to rotate them. Nothing is sent if there are none.

    Args:
        name: The person's.
    """
    made = KeyFilter(created_by=user_id, of_service_accounts=True, unexpired=True)
    total = tx.api_keys.count_acting(organization.id, made, now=tx.now)
    if total == 0:
        return []
    found = tx.api_keys.list_acting(organization.id, made, limit=MAX_LISTED_KEYS, now=tx.now)
    keys = [MadeKey(name=each.key.name, prefix=each.key.prefix) for each in found]
    return [
        compose_keys_made_by(
            owner,
            keys,
            total=total,
            person=name,
            organization=organization.name,
            link=services.links.to_keys_made_by(organization.id, user_id),
        )
        for owner in unbanned_owners(tx, organization.id, but=user_id)
    ]


def compose_all_notices_of_made_keys(
    tx: Transaction, services: Services, user_id: str, *, name: str
) -> Sequence[MailDraft]:
    """Compose the same mails in every organization where the person made keys, whether they are in it or not."""
    mails: list[MailDraft] = []
    for organization_id in tx.api_keys.list_organizations_with_keys_made_by(user_id):
        organization = tx.organizations.find(organization_id)
        if organization is not None:
            mails += compose_notices_of_created_keys(tx, services, organization, user_id, name=name)
    return mails


def compose_notices_of_changed_key(
    tx: Transaction, organization: Organization, key: ApiKey, what: KeyEnding, *, by: str | None
) -> Sequence[MailDraft]:
    """
    Compose the mails to the owners about the key of a service account that *by* revoked or rotated.

    The owner who did it is left out.
    """
    actor = None if by is None else tx.users.find(by)
    return [
        compose_key_changed(
            owner,
            "service_account_key",
            by="czo-auth" if actor is None else actor.name,
            name=key.name,
            prefix=key.prefix,
            organization=organization.name,
            what=what,
            at=tx.now,
        )
        for owner in unbanned_owners(tx, organization.id, but=by)
    ]
