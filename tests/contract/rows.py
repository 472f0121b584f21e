"""Many rows at once, written past the product: what it would take strangers months to make."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

from czo_auth.storage.column_types import to_milliseconds
from tests.contract.database import sql

_batches = count(1)

_KEYS = """
WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count})
INSERT INTO {{}}api_keys (
    id, digest, user_id, organization_id, actor_type, name, prefix, scopes, enabled, expires_at, created_at, updated_at,
    created_by
)
SELECT '{batch}-0000-7000-8000-' || substr('000000000000' || i, length('000000000000' || i) - 11),
    '{batch}-{user_id}-' || i, '{user_id}', {organization_id}, 'customer', 'key ' || i, 'czo_AAAA', '', true,
    {expires_at}, {created_at} + i, {created_at} + i, '{user_id}'
FROM numbers
"""


async def add_keys(
    url: str,
    user_id: str,
    amount: int,
    *,
    created_at: datetime,
    lives: timedelta | None = None,
    organization_id: str | None = None,
) -> None:
    """
    Give a user *amount* API keys, each created a millisecond after the previous one.

    Args:
        lives: How long after *created_at* all of them end; None for never.
    """
    created = to_milliseconds(created_at)
    ends = "NULL" if lives is None else str(to_milliseconds(created_at + lives))
    statement = _KEYS.format(
        count=amount,
        batch=f"{next(_batches):08x}",
        user_id=user_id,
        organization_id="NULL" if organization_id is None else f"'{organization_id}'",
        expires_at=ends,
        created_at=created,
    )
    await sql(url, statement)
