"""Searching all API keys, for administrators: by the beginning of the key, or by its owner."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from czo_auth.core.api_keys.key import OwnedApiKey
from czo_auth.core.flows.services import Services
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_by_id
from czo_auth.core.transaction import Transaction


async def search_api_keys(
    services: Services,
    *,
    text: str | None,
    organization_id: str | None = None,
    unused_since: datetime | None = None,
    page: PageQuery = FIRST_PAGE,
    now: datetime,
) -> Page[OwnedApiKey]:
    """
    Find keys that were not revoked, newest first. The caller has already been authorized (``access.ADMINISTRATION``).

    Args:
        text: Part of the owner's address or name, or the beginning of the key; of a complete key only the stored
            characters count. None for all.
        organization_id: Keys of this organization only; None for all.
        unused_since: Keys that were neither used nor made since then; None for all.

    Raises:
        ValidationFailed: The cursor is not valid.
    """

    def find_page(tx: Transaction) -> Page[OwnedApiKey]:
        found = tx.api_keys.search(
            text=text, organization_id=organization_id, unused_since=unused_since, page=page, now=now
        )
        count = partial(
            tx.api_keys.count_found,
            text=text,
            organization_id=organization_id,
            unused_since=unused_since,
            now=now,
        )
        is_filtered = (text, organization_id, unused_since) != (None, None, None)
        return page_by_id(found, page, count=count, is_filtered=is_filtered, id_of=lambda each: each.key.id)

    return await services.transactions.read(find_page)
