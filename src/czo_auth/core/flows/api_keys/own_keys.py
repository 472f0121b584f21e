"""A user's own API keys: what creating, listing and changing them share."""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.errors import NotFound
from czo_auth.core.flows.api_keys.new_key import find_longest_days
from czo_auth.core.flows.services import Services
from czo_auth.core.paging import Page, PageQuery, page_of
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction


async def list_keys_of(
    services: Services,
    user_id: str,
    *,
    organization_id: str | None,
    unused_since: datetime | None = None,
    page: PageQuery,
    now: datetime,
) -> Page[ApiKey]:
    """
    List a user's keys, newest first. The caller has already been authorized.

    Args:
        organization_id: Keys of this organization only; None for all.
        unused_since: Keys that were neither used nor made since then; None for all.

    Raises:
        ValidationFailed: The cursor is not valid.
    """
    after = page.position

    def read(tx: Transaction) -> Page[ApiKey]:
        found = tx.api_keys.list_live(
            user_id,
            organization_id=organization_id,
            unused_since=unused_since,
            after=after,
            limit=page.limit + 1,
            now=now,
        )
        total = tx.api_keys.count_listed(
            user_id, organization_id=organization_id, unused_since=unused_since, now=now
        )
        return page_of(found, page, total=total, position=lambda key: (key.created_at, key.id))

    return await services.transactions.read(read)


def find_own_key(tx: Transaction, principal: Principal, key_id: str) -> ApiKey:
    """
    Find one of the caller's keys.

    Raises:
        NotFound: No such id, or it belongs to someone else.
    """
    key = tx.api_keys.find(key_id)
    if key is None or key.user_id != principal.user_id:
        raise NotFound
    return key


def lock_longest_days(services: Services, tx: Transaction, organization_id: str | None) -> int | None:
    """
    Read the maximum lifetime of a key, and lock the organization's row, so that no key slips through while it
    changes.

    Organizations are locked before users everywhere, to avoid deadlocks.
    """
    organization = tx.organizations.lock(organization_id) if organization_id is not None else None
    return find_longest_days(services, organization)


def is_host(principal: Principal) -> bool:
    """Return whether the host's own code acts for the user, without a session."""
    return principal.kind == "session" and principal.session_id is None
