"""API keys, in SQL; the read for a request stands in `lookup_sql`, what time does to them in `api_key_expiry`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    not_,
    or_,
    select,
    true,
    update,
)

from czo_auth.core.api_keys.key import ApiKey, OwnedApiKey
from czo_auth.crypto.tokens import SHOWN_CHARACTERS
from czo_auth.storage.api_key_expiry import SqlApiKeyExpiry
from czo_auth.storage.column_types import Instant
from czo_auth.storage.store import PRUNED_AT_ONCE, columns, made, values


class SqlApiKeys(SqlApiKeyExpiry):
    """Implements `czo_auth.core.api_keys.store.ApiKeys`."""

    def add(self, key: ApiKey, *, digest: str) -> None:
        self._add(self._tables.api_keys, {"digest": digest, **values(key)})

    def find(self, key_id: str) -> ApiKey | None:
        keys = self._tables.api_keys
        statement = select(*columns(keys, ApiKey)).where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
        return self._one(ApiKey, statement)

    def find_by_digests(self, digests: Collection[str]) -> Mapping[str, ApiKey]:
        keys = self._tables.api_keys
        statement = (
            select(keys.c.digest, *columns(keys, ApiKey))
            .where(keys.c.digest.in_(digests), keys.c.revoked_at.is_(None))
            .order_by(keys.c.id)
        )
        rows = [dict(row._mapping) for row in self._connection.execute(statement)]
        return {row.pop("digest"): ApiKey(**row) for row in rows}

    def list_live(self, user_id: str, *, now: datetime) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        statement = (
            select(*columns(keys, ApiKey))
            .where(keys.c.user_id == user_id, self._is_listed(now))
            .order_by(keys.c.created_at.desc(), keys.c.id.desc())
        )
        return self._all(ApiKey, statement)

    def search(
        self, *, text: str | None, before: str | None, limit: int, now: datetime
    ) -> Sequence[OwnedApiKey]:
        keys, users = self._tables.api_keys, self._tables.users
        statement = (
            select(
                *columns(keys, ApiKey), users.c.email.label("owner_email"), users.c.name.label("owner_name")
            )
            .join_from(keys, users, users.c.id == keys.c.user_id)
            .where(self._is_listed(now), self._matches(text))
            .order_by(keys.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(keys.c.id < before)
        return [_owned(row) for row in self._connection.execute(statement).mappings()]

    def count_found(self, *, text: str | None, now: datetime) -> int:
        keys, users = self._tables.api_keys, self._tables.users
        joined = select(func.count()).select_from(keys.join(users, users.c.id == keys.c.user_id))
        statement = joined.where(self._is_listed(now), self._matches(text))
        return self._connection.execute(statement).scalar_one()

    def count_live(self, user_id: str, *, now: datetime) -> int:
        keys = self._tables.api_keys
        statement = (
            select(func.count())
            .select_from(keys)
            .where(
                keys.c.user_id == user_id,
                keys.c.revoked_at.is_(None),
                keys.c.rotated_at.is_(None),
                or_(keys.c.expires_at.is_(None), keys.c.expires_at > now),
            )
        )
        return self._connection.execute(statement).scalar_one()

    def update(self, changed: ApiKey) -> bool:
        keys = self._tables.api_keys
        stays = keys.c.expires_at.is_not_distinct_from(changed.expires_at)
        statement = (
            update(keys)
            .where(keys.c.id == changed.id, keys.c.revoked_at.is_(None))
            .values(
                name=changed.name,
                enabled=changed.enabled,
                scopes=changed.scopes,
                expires_at=changed.expires_at,
                noticed_days=case((stays, keys.c.noticed_days), else_=changed.noticed_days),
                metadata=None if changed.metadata is None else dict(changed.metadata),
                allowed_ips=changed.allowed_ips,
                rate_limit_max=changed.rate_limit_max,
                rate_limit_window_seconds=changed.rate_limit_window_seconds,
                updated_at=changed.updated_at,
            )
        )
        return self._count(statement) == 1

    def mark_rotated(self, key_id: str, *, expires_at: datetime, now: datetime) -> bool:
        keys = self._tables.api_keys
        statement = update(keys).where(
            keys.c.id == key_id, keys.c.revoked_at.is_(None), keys.c.rotated_at.is_(None)
        )
        end = {"enabled": False} if expires_at <= now else {}
        changes = statement.values(rotated_at=now, expires_at=expires_at, updated_at=now, **end)
        return self._count(changes) == 1

    def switch_off(self, key_id: str, *, now: datetime) -> bool:
        keys = self._tables.api_keys
        live = (keys.c.id == key_id, keys.c.revoked_at.is_(None), keys.c.enabled)
        return self._count(update(keys).where(*live).values(enabled=False, updated_at=now)) == 1

    def revoke(self, key_id: str, *, reason: str, now: datetime) -> bool:
        keys = self._tables.api_keys
        statement = update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
        return self._count(statement.values(revoked_at=now, revoked_reason=reason, updated_at=now)) == 1

    def revoke_all(
        self, *, user_id: str | None, organization_id: str | None, reason: str, now: datetime
    ) -> Sequence[ApiKey]:
        if user_id is None and organization_id is None:
            raise ValueError("neither a user nor an organization was named")
        keys = self._tables.api_keys
        statement = update(keys).where(keys.c.revoked_at.is_(None))
        if user_id is not None:
            statement = statement.where(keys.c.user_id == user_id)
        if organization_id is not None:
            statement = statement.where(keys.c.organization_id == organization_id)
        ended = statement.values(revoked_at=now, revoked_reason=reason, updated_at=now)
        rows = self._connection.execute(ended.returning(*columns(keys, ApiKey)))
        return sorted((made(ApiKey, row) for row in rows), key=lambda key: key.id)

    def touch(self, seen: Mapping[str, datetime]) -> None:
        if not seen:
            return
        keys = self._tables.api_keys
        key_id, seen_at = bindparam("key_id", type_=String), bindparam("seen_at", type_=Instant)
        statement = (
            update(keys)
            .where(keys.c.id == key_id, or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < seen_at))
            .values(last_used_at=seen_at)
        )
        # In one order everywhere, so that two processes that flush the same keys queue instead of deadlocking.
        self._connection.execute(
            statement, [{"key_id": key, "seen_at": at} for key, at in sorted(seen.items())]
        )

    def prune_expired(self, *, before: datetime) -> int:
        keys = self._tables.api_keys
        over = or_(
            keys.c.revoked_at < before, and_(keys.c.rotated_at.is_not(None), keys.c.expires_at < before)
        )
        batch = select(keys.c.id).where(over).limit(PRUNED_AT_ONCE)
        return self._count(delete(keys).where(keys.c.id.in_(batch)))

    def _is_listed(self, now: datetime) -> ColumnElement[bool]:
        keys = self._tables.api_keys
        died = and_(keys.c.rotated_at.is_not(None), keys.c.expires_at.is_not(None), keys.c.expires_at <= now)
        return and_(keys.c.revoked_at.is_(None), not_(died))

    def _matches(self, text: str | None) -> ColumnElement[bool]:
        keys, users = self._tables.api_keys, self._tables.users
        if text is None:
            return true()
        start = text[:SHOWN_CHARACTERS]
        return or_(
            # Keys differ by case, and LIKE would not everywhere.
            func.substr(keys.c.prefix, 1, len(start)) == start,
            users.c.email.icontains(text, autoescape=True),
            users.c.name.icontains(text, autoescape=True),
        )


def _owned(row: RowMapping) -> OwnedApiKey:
    fields = dict(row)
    email, name = fields.pop("owner_email"), fields.pop("owner_name")
    return OwnedApiKey(key=ApiKey(**fields), owner_email=email, owner_name=name)
