"""Expiry of API keys, in SQL: notices, unused keys, the maximum lifetime."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from czo_auth.core.api_keys.expiry_store import KeyExpiry
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.lifetime import NOTICE_DAYS
from czo_auth.storage.api_key_rows import ApiKeyRows
from czo_auth.storage.column_types import Instant
from czo_auth.storage.store import columns


class SqlKeyExpiry(ApiKeyRows, KeyExpiry):
    """Implements `czo_auth.core.api_keys.expiry_store.KeyExpiry`."""

    def list_owners_due(self, *, now: datetime, limit: int) -> Sequence[str]:
        keys = self._tables.api_keys
        owner = func.coalesce(keys.c.user_id, keys.c.service_account_id).label("owner_id")
        statement = select(owner).where(self._is_live(now), self._is_due(now)).distinct()
        return list(self._connection.execute(statement.order_by(owner).limit(limit)).scalars())

    def list_due(self, owner_id: str, *, now: datetime, until: datetime) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        statement = select(*columns(keys, ApiKey)).where(
            self._is_owned_by(owner_id), self._is_live(now), self._is_due(until)
        )
        return self._all(ApiKey, statement.order_by(keys.c.expires_at, keys.c.id))

    def mark_noticed(self, key: ApiKey, *, days: int) -> bool:
        keys = self._tables.api_keys
        statement = update(keys).where(
            keys.c.id == key.id,
            keys.c.revoked_at.is_(None),
            keys.c.rotated_at.is_(None),
            keys.c.enabled,
            keys.c.expires_at == key.expires_at,
            or_(keys.c.noticed_days.is_(None), keys.c.noticed_days > days),
        )
        return self._count(statement.values(noticed_days=days)) == 1

    def list_unused(
        self, organization_id: str | None, *, before: datetime, now: datetime, limit: int
    ) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        statement = (
            select(*columns(keys, ApiKey))
            .where(
                self._is_live(now),
                self._is_of(organization_id),
                self._activity() <= before,
                or_(keys.c.unused_noticed_at.is_(None), keys.c.unused_noticed_at < self._activity()),
            )
            .order_by(func.coalesce(keys.c.user_id, keys.c.service_account_id), keys.c.id)
            .limit(limit)
        )
        return self._all(ApiKey, statement)

    def mark_unused_noticed(self, key: ApiKey, *, now: datetime) -> bool:
        keys = self._tables.api_keys
        statement = update(keys).where(
            keys.c.id == key.id,
            self._is_live(now),
            keys.c.last_used_at.is_not_distinct_from(key.last_used_at),
            keys.c.unused_noticed_at.is_not_distinct_from(key.unused_noticed_at),
        )
        return self._count(statement.values(unused_noticed_at=now)) == 1

    def expire_unused(
        self, organization_id: str | None, *, before: datetime, noticed_before: datetime, now: datetime
    ) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        is_unused = and_(
            self._is_live(now),
            self._is_of(organization_id),
            self._activity() <= before,
            keys.c.unused_noticed_at <= noticed_before,
            keys.c.unused_noticed_at >= self._activity(),
        )
        return self._changed(is_unused, update(keys).values(expires_at=now, enabled=False, updated_at=now))

    def cap_ends(self, organization_id: str | None, *, end: datetime, now: datetime) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        lives_longer = and_(
            keys.c.revoked_at.is_(None),
            self._is_of(organization_id),
            or_(keys.c.expires_at.is_(None), keys.c.expires_at > end),
        )
        return self._changed(
            lives_longer, update(keys).values(expires_at=end, noticed_days=None, updated_at=now)
        )

    def _is_live(self, now: datetime) -> ColumnElement[bool]:
        keys = self._tables.api_keys
        return and_(
            keys.c.revoked_at.is_(None),
            keys.c.rotated_at.is_(None),
            keys.c.enabled,
            or_(keys.c.expires_at.is_(None), keys.c.expires_at > now),
        )

    def _is_due(self, by: datetime) -> ColumnElement[bool]:
        keys = self._tables.api_keys
        farthest = keys.c.expires_at <= by + timedelta(days=max(NOTICE_DAYS))
        thresholds = (
            and_(
                keys.c.expires_at <= by + timedelta(days=days),
                or_(keys.c.noticed_days.is_(None), keys.c.noticed_days > days),
            )
            for days in NOTICE_DAYS
        )
        return and_(farthest, or_(*thresholds))

    def _activity(self) -> ColumnElement[datetime]:
        keys = self._tables.api_keys
        return func.coalesce(keys.c.last_used_at, keys.c.created_at, type_=Instant)
