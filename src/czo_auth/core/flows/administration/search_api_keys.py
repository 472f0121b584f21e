"""Finding an API key among everybody's, for administrators: by what it begins with, or by its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.api_keys.key import OwnedApiKey
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyPage:
    """Some keys, how many there are in all, and where to go on."""

    keys: Sequence[OwnedApiKey]
    total: int
    next_cursor: str | None


async def search_api_keys(
    services: Services, *, text: str | None, cursor: str | None, limit: int, now: datetime
) -> ApiKeyPage:
    """
    Find keys that were not revoked, newest first. Who may is decided before (``access.ADMINISTRATION``).

    Args:
        text: What the owner's address or name contains, or what the key begins with; of a whole key only the
            characters that are stored count. None for all.
        cursor: The `next_cursor` of the page before.
        limit: Unit: keys.
    """

    def find_page(tx: Transaction) -> ApiKeyPage:
        found = tx.api_keys.search(text=text, before=cursor, limit=limit + 1, now=now)
        return ApiKeyPage(
            keys=found[:limit],
            total=tx.api_keys.count_found(text=text, now=now),
            next_cursor=found[limit - 1].key.id if len(found) > limit else None,
        )

    return await services.transactions.read(find_page)
