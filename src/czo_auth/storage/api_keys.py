"""API keys, in SQL; the read for a request is in `lookup_sql`, expiry is in `api_key_expiry`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Join,
    RowMapping,
    Select,
    String,
    Text,
    Update,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)

from czo_auth.core.api_keys.key import ApiKey, OwnedApiKey
from czo_auth.core.api_keys.store import NO_FILTER, ApiKeys, KeyFilter, KeyOrder
from czo_auth.core.ids import is_id
from czo_auth.core.paging import PageQuery, Position
from czo_auth.crypto.tokens import SHOWN_CHARACTERS
from czo_auth.storage.api_key_rows import ApiKeyRows
from czo_auth.storage.column_types import Instant
from czo_auth.storage.prepared import Build
from czo_auth.storage.store import columns, unlocked_batch, values
from czo_auth.storage.tables import Tables

_NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_CHANGED_BY_UPDATE: Final = (
    "name",
    "enabled",
    "scopes",
    "expires_at",
    "noticed_days",
    "metadata",
    "allowed_ips",
    "rate_limit_max",
    "rate_limit_window_seconds",
    "quota_max",
    "quota_period",
    "quota_id",
    "updated_at",
)


class SqlApiKeys(ApiKeyRows, ApiKeys):
    """Implements `czo_auth.core.api_keys.store.ApiKeys`."""

    def add(self, key: ApiKey, *, digest: str) -> None:
        self._add(self._tables.api_keys, {"digest": digest, **values(key)})

    def find(self, key_id: str) -> ApiKey | None:
        if not is_id(key_id):
            return None
        return self._prepared(_unrevoked_key).one(self._connection, ApiKey, key_id=key_id)

    def find_by_digests(self, digests: Collection[str]) -> Mapping[str, ApiKey]:
        keys = self._tables.api_keys
        statement = (
            select(keys.c.digest, *columns(keys, ApiKey))
            .where(keys.c.digest.in_(digests), keys.c.revoked_at.is_(None))
            .order_by(keys.c.id)
        )
        rows = [dict(row._mapping) for row in self._connection.execute(statement)]
        return {row.pop("digest"): ApiKey(**row) for row in rows}

    def list_live(
        self,
        user_id: str,
        *,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        after: Position | None = None,
        limit: int,
        now: datetime,
    ) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        statement = select(*columns(keys, ApiKey)).where(
            keys.c.user_id == user_id,
            self._is_of(organization_id),
            self._is_listed(now),
            self._is_unused(unused_since),
        )
        return self._all(ApiKey, self._page(statement, keys, after, limit=limit))

    def list_sorted(
        self,
        user_id: str | None,
        *,
        organization_id: str | None = None,
        by: KeyOrder,
        descending: bool,
        offset: int,
        limit: int,
        now: datetime,
    ) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        value: ColumnElement[Any] = keys.c[by]
        if by == "expires_at":
            value = func.coalesce(value, literal(_NEVER, Instant))
        order = (value.desc(), keys.c.id.desc()) if descending else (value, keys.c.id)
        theirs = true() if user_id is None else keys.c.user_id == user_id
        statement = select(*columns(keys, ApiKey)).where(
            theirs, self._is_of(organization_id), self._is_listed(now)
        )
        return self._all(ApiKey, statement.order_by(*order).offset(offset).limit(limit))

    def count_listed(
        self,
        user_id: str,
        *,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        now: datetime,
    ) -> int:
        keys = self._tables.api_keys
        return self._count_up_to(
            keys,
            keys.c.user_id == user_id,
            self._is_of(organization_id),
            self._is_listed(now),
            self._is_unused(unused_since),
        )

    def list_kept(self, user_id: str) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        statement = select(*columns(keys, ApiKey)).where(keys.c.user_id == user_id)
        return self._all(ApiKey, statement.order_by(keys.c.created_at.desc(), keys.c.id.desc()))

    def search(
        self,
        *,
        text: str | None,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        page: PageQuery,
        now: datetime,
    ) -> Sequence[OwnedApiKey]:
        keys = self._tables.api_keys
        statement = self._owned_keys().where(
            self._is_listed(now),
            self._is_of(organization_id),
            self._is_unused(unused_since),
            self._matches(text),
        )
        return [_owned(row._mapping) for row in self._page_by_id(statement, keys, page, newest_first=True)]

    def count_found(
        self,
        *,
        text: str | None,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        now: datetime,
        up_to: int | None = None,
    ) -> int:
        return self._count_up_to(
            self._tables.api_keys if text is None else self._with_owners(),
            self._is_listed(now),
            self._is_of(organization_id),
            self._is_unused(unused_since),
            self._matches(text),
            up_to=up_to,
        )

    def count_live(self, owner_id: str, *, now: datetime) -> int:
        return self._count_unexpired(_live_keys, owner_id, now=now)

    def count_overlapping(self, owner_id: str, *, now: datetime) -> int:
        return self._count_unexpired(_overlapping_keys, owner_id, now=now)

    def _count_unexpired(self, build: Build, owner_id: str, *, now: datetime) -> int:
        ((count,),) = self._prepared(build).rows(self._connection, owner_id=owner_id, now=now)
        return int(count)

    def list_acting(
        self,
        organization_id: str,
        wanted: KeyFilter = NO_FILTER,
        *,
        after: Position | None = None,
        limit: int,
        now: datetime,
    ) -> Sequence[OwnedApiKey]:
        keys = self._tables.api_keys
        statement = self._owned_keys().where(self._acts(organization_id, wanted, now=now))
        page = self._page(statement, keys, after, limit=limit)
        return [_owned(row) for row in self._connection.execute(page).mappings()]

    def count_acting(self, organization_id: str, wanted: KeyFilter = NO_FILTER, *, now: datetime) -> int:
        return self._count_up_to(self._tables.api_keys, self._acts(organization_id, wanted, now=now))

    def list_made_by(self, user_id: str) -> Sequence[ApiKey]:
        keys = self._tables.api_keys
        statement = select(*columns(keys, ApiKey)).where(
            keys.c.created_by == user_id, keys.c.service_account_id.is_not(None)
        )
        return self._all(ApiKey, statement.order_by(keys.c.created_at.desc(), keys.c.id.desc()))

    def list_organizations_with_keys_made_by(self, user_id: str) -> Sequence[str]:
        keys = self._tables.api_keys
        statement = (
            select(keys.c.organization_id)
            .where(
                keys.c.created_by == user_id,
                keys.c.service_account_id.is_not(None),
                keys.c.revoked_at.is_(None),
            )
            .distinct()
            .order_by(keys.c.organization_id)
        )
        return list(self._connection.execute(statement).scalars())

    def _acts(self, organization_id: str, wanted: KeyFilter, *, now: datetime) -> ColumnElement[bool]:
        keys = self._tables.api_keys
        if not all(is_id(each) for each in (wanted.owner, wanted.created_by) if each is not None):
            return false()
        conditions = [keys.c.organization_id == organization_id, self._is_listed(now)]
        if wanted.owner is not None:
            conditions.append(self._is_owned_by(wanted.owner))
        if wanted.created_by is not None:
            # A process of the previous version wrote no creator: then it is the owner.
            conditions.append(func.coalesce(keys.c.created_by, keys.c.user_id) == wanted.created_by)
        if wanted.unused_since is not None:
            used = keys.c.last_used_at
            conditions.append(or_(used.is_(None), used < wanted.unused_since))
        if wanted.of_service_accounts:
            conditions.append(keys.c.service_account_id.is_not(None))
        if wanted.unexpired:
            conditions.append(or_(keys.c.expires_at.is_(None), keys.c.expires_at > now))
        return and_(*conditions)

    def _owned_keys(self) -> Select[Any]:
        """Select keys with their owners, who are users or service accounts."""
        keys, users, accounts = self._tables.api_keys, self._tables.users, self._tables.service_accounts
        return select(
            *columns(keys, ApiKey),
            users.c.email.label("owner_email"),
            func.coalesce(users.c.name, accounts.c.name).label("owner_name"),
        ).select_from(self._with_owners())

    def _with_owners(self) -> Join:
        keys, users, accounts = self._tables.api_keys, self._tables.users, self._tables.service_accounts
        return keys.outerjoin(users, users.c.id == keys.c.user_id).outerjoin(
            accounts, accounts.c.id == keys.c.service_account_id
        )

    def update(self, changed: ApiKey) -> bool:
        given = {f"new_{name}": getattr(changed, name) for name in _CHANGED_BY_UPDATE}
        given["new_metadata"] = None if changed.metadata is None else dict(changed.metadata)
        changes = self._prepared(_update_key)
        return changes.count(self._connection, key_id=changed.id, **given) == 1

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
        revoked = self._prepared(_revoke_key)
        return revoked.count(self._connection, key_id=key_id, reason=reason, now=now) == 1

    def revoke_all(
        self,
        *,
        user_id: str | None,
        organization_id: str | None,
        service_account_id: str | None = None,
        reason: str,
        now: datetime,
    ) -> Sequence[ApiKey]:
        if user_id is None and organization_id is None and service_account_id is None:
            raise ValueError("neither an owner nor an organization was named")
        keys = self._tables.api_keys
        ends = keys.c.expires_at
        revoked = update(keys).values(revoked_at=now, revoked_reason=reason, updated_at=now)
        if service_account_id is not None:
            theirs: ColumnElement[bool] = keys.c.service_account_id == service_account_id
            ways_to_live = [ends.is_(None), ends > now]
        elif user_id is None:
            # COALESCE keeps the index on the expiry out, so that the one on the organization is used.
            theirs = true()
            ways_to_live = [func.coalesce(ends, literal(_NEVER, Instant)) > now]
        else:
            # One statement each, because each is a range of an index. One statement with OR may read all the keys of a
            # user, and most can be dead.
            theirs = keys.c.user_id == user_id
            ways_to_live = [ends.is_(None), ends > now]
        for may_live in ways_to_live:
            condition = and_(theirs, self._is_of(organization_id), keys.c.revoked_at.is_(None), may_live)
            if ended := self._changed(condition, revoked):
                return ended
        return []

    def prune_expired(self, *, before: datetime, expired: datetime) -> int:
        keys = self._tables.api_keys
        rotated = and_(keys.c.rotated_at.is_not(None), keys.c.expires_at < before)
        # One condition at a time: each is a range of an index, however many keys live.
        for over in (keys.c.revoked_at < before, keys.c.expires_at < expired, rotated):
            if deleted := self._count(
                delete(keys).where(keys.c.id.in_(unlocked_batch(select(keys.c.id).where(over))))
            ):
                return deleted
        return 0

    def _is_listed(self, now: datetime) -> ColumnElement[bool]:
        keys = self._tables.api_keys
        died = and_(keys.c.rotated_at.is_not(None), keys.c.expires_at.is_not(None), keys.c.expires_at <= now)
        return and_(keys.c.revoked_at.is_(None), not_(died))

    def _is_unused(self, since: datetime | None) -> ColumnElement[bool]:
        keys = self._tables.api_keys
        return true() if since is None else func.coalesce(keys.c.last_used_at, keys.c.created_at) < since

    def _matches(self, text: str | None) -> ColumnElement[bool]:
        keys, users, accounts = self._tables.api_keys, self._tables.users, self._tables.service_accounts
        if text is None:
            return true()
        start = text[:SHOWN_CHARACTERS]
        return or_(
            # Keys are case-sensitive, and LIKE is not on every database.
            func.substr(keys.c.prefix, 1, len(start)) == start,
            users.c.email.icontains(text, autoescape=True),
            users.c.name.icontains(text, autoescape=True),
            accounts.c.name.icontains(text, autoescape=True),
        )


def _unrevoked_key(tables: Tables) -> Select[Any]:
    keys = tables.api_keys
    return select(*columns(keys, ApiKey)).where(keys.c.id == bindparam("key_id"), keys.c.revoked_at.is_(None))


def _update_key(tables: Tables) -> Update:
    keys = tables.api_keys
    new: dict[str, ColumnElement[Any]] = {
        name: bindparam(f"new_{name}", type_=keys.c[name].type) for name in _CHANGED_BY_UPDATE
    }
    stays = keys.c.expires_at.is_not_distinct_from(new["expires_at"])
    new["noticed_days"] = case((stays, keys.c.noticed_days), else_=new["noticed_days"])
    return update(keys).where(keys.c.id == bindparam("key_id"), keys.c.revoked_at.is_(None)).values(new)


def _revoke_key(tables: Tables) -> Update:
    keys = tables.api_keys
    now = bindparam("now", type_=Instant)
    return (
        update(keys)
        .where(keys.c.id == bindparam("key_id"), keys.c.revoked_at.is_(None))
        .values(revoked_at=now, revoked_reason=bindparam("reason", type_=Text), updated_at=now)
    )


def _live_keys(tables: Tables) -> Select[Any]:
    return _unexpired(tables, tables.api_keys.c.rotated_at.is_(None))


def _overlapping_keys(tables: Tables) -> Select[Any]:
    return _unexpired(tables, tables.api_keys.c.rotated_at.is_not(None))


def _unexpired(tables: Tables, condition: ColumnElement[bool]) -> Select[Any]:
    """Count the keys of an owner that live. Each of the four counts is a range of an index; one OR would be none."""
    keys = tables.api_keys
    owner_id, now = bindparam("owner_id", type_=String), bindparam("now", type_=Instant)
    counts = [
        select(func.count())
        .select_from(keys)
        .where(owner == owner_id, keys.c.revoked_at.is_(None), condition, lives)
        .scalar_subquery()
        for owner in (keys.c.user_id, keys.c.service_account_id)
        for lives in (keys.c.expires_at.is_(None), keys.c.expires_at > now)
    ]
    return select(reduce(add, counts).label("count"))


def _owned(row: RowMapping) -> OwnedApiKey:
    fields = dict(row)
    email, name = fields.pop("owner_email"), fields.pop("owner_name")
    return OwnedApiKey(key=ApiKey(**fields), owner_email=email, owner_name=name)
