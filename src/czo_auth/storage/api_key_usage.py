"""Uses of API keys by day, and of their quotas, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    String,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    null,
    or_,
    select,
    tuple_,
    update,
)

from czo_auth.core.api_keys.usage import RESOLUTION, DayUsage, GatheredUses
from czo_auth.core.api_keys.usage_store import KeyQuotas, KeyUses, TakenBlock
from czo_auth.core.ids import is_id
from czo_auth.storage.column_types import Instant
from czo_auth.storage.store import Store, columns, unlocked_batch


class SqlKeyUses(Store, KeyUses):
    """Implements `czo_auth.core.api_keys.usage_store.KeyUses`."""

    def add(self, gathered: GatheredUses, *, keeps_addresses: bool) -> frozenset[str]:
        known = sorted(filter(is_id, gathered.keys()))
        busy = self._lock_free(self._tables.api_keys, known) if len(known) > 1 else frozenset()
        # In one order: a process of the version before waits for these rows. Each is locked from here on, so no key is
        # deleted before its days are added.
        key_ids = [key_id for key_id in known if key_id not in busy]
        if key_ids:
            self._add_to_keys(key_ids, gathered, keeps_addresses=keeps_addresses)
            self._add_days(gathered, key_ids)
        return busy

    def _add_to_keys(self, key_ids: Sequence[str], gathered: GatheredUses, *, keeps_addresses: bool) -> None:
        keys = self._tables.api_keys
        seen_at, latest = bindparam("seen_at", type_=Instant), bindparam("latest", type_=Instant)
        network = bindparam("network", type_=Text)
        # Each process knows only its own uses: what another one wrote less than a minute ago stays.
        is_newer = and_(
            seen_at.is_not(None), or_(keys.c.last_used_at.is_(None), keys.c.last_used_at <= latest)
        )
        address: ColumnElement[Any] = (
            func.coalesce(network, keys.c.last_used_ip) if keeps_addresses else null()
        )
        statement = (
            update(keys)
            .where(keys.c.id == bindparam("key_id", type_=String))
            .values(
                use_count=keys.c.use_count + bindparam("uses", type_=BigInteger),
                last_used_at=case((is_newer, seen_at), else_=keys.c.last_used_at),
                last_used_ip=case((is_newer, address), else_=keys.c.last_used_ip),
            )
        )
        rows: list[dict[str, Any]] = []
        for key_id in key_ids:
            last = gathered.latest.get(key_id)
            rows.append(
                {
                    "key_id": key_id,
                    "uses": gathered.used_in_all(key_id),
                    "seen_at": None if last is None else last.at,
                    "latest": None if last is None else last.at - RESOLUTION,
                    **({"network": None if last is None else last.network} if keeps_addresses else {}),
                }
            )
        self._connection.execute(statement, rows)

    def _add_days(self, gathered: GatheredUses, key_ids: Collection[str]) -> None:
        keys, usage = self._tables.api_keys, self._tables.api_key_usage
        rows = [
            {"key_id": key_id, "on_day": count.day, "uses": count.used, "refusals": count.refused}
            for key_id, count in gathered.only(key_ids).days()
        ]
        if not rows:
            return
        counts = select(
            keys.c.id,
            bindparam("on_day", type_=Date),
            bindparam("uses", type_=BigInteger),
            bindparam("refusals", type_=BigInteger),
        ).where(keys.c.id == bindparam("key_id", type_=String))
        first = self._insert(usage).from_select(["api_key_id", "day", "used", "refused"], counts)
        statement = first.on_conflict_do_update(
            index_elements=["api_key_id", "day"],
            set_={
                "used": usage.c.used + first.excluded.used,
                "refused": usage.c.refused + first.excluded.refused,
            },
        )
        self._connection.execute(statement, rows)

    def list_days(self, key_id: str, *, first: date, last: date) -> Sequence[DayUsage]:
        if not is_id(key_id):
            return []
        usage = self._tables.api_key_usage
        statement = select(*columns(usage, DayUsage)).where(
            usage.c.api_key_id == key_id, usage.c.day >= first, usage.c.day <= last
        )
        return self._all(DayUsage, statement.order_by(usage.c.day))

    def days_of_user(self, user_id: str) -> Mapping[str, Sequence[DayUsage]]:
        usage, keys = self._tables.api_key_usage, self._tables.api_keys
        statement = (
            select(usage.c.api_key_id, *columns(usage, DayUsage))
            .join_from(keys, usage, usage.c.api_key_id == keys.c.id)
            .where(keys.c.user_id == user_id)
            .order_by(usage.c.api_key_id, usage.c.day)
        )
        days: dict[str, list[DayUsage]] = {}
        for row in self._connection.execute(statement):
            day = DayUsage(day=row.day, used=row.used, refused=row.refused)
            days.setdefault(row.api_key_id, []).append(day)
        return days

    def forget_addresses(self) -> int:
        keys = self._tables.api_keys
        batch = unlocked_batch(select(keys.c.id).where(keys.c.last_used_ip.is_not(None)))
        return self._count(update(keys).where(keys.c.id.in_(batch)).values(last_used_ip=None))

    def prune(self, *, before: date) -> int:
        usage = self._tables.api_key_usage
        row = (usage.c.api_key_id, usage.c.day)
        batch = unlocked_batch(select(*row).where(usage.c.day < before))
        return self._count(delete(usage).where(tuple_(*row).in_(batch)))


class SqlKeyQuotas(Store, KeyQuotas):
    """Implements `czo_auth.core.api_keys.usage_store.KeyQuotas`."""

    def take(
        self, counter_id: str, *, period: str, maximum: int, block: int, expires_at: datetime
    ) -> TakenBlock:
        quotas = self._tables.api_key_quotas
        at_first = min(block, maximum)
        first = self._insert(quotas).values(
            counter_id=counter_id, period=period, taken=at_first, granted=at_first, expires_at=expires_at
        )
        room = maximum - quotas.c.taken
        granted = case((room < block, room), else_=block)
        statement = first.on_conflict_do_update(
            index_elements=["counter_id", "period"],
            set_={"taken": quotas.c.taken + granted, "granted": granted},
            where=quotas.c.taken < maximum,
        ).returning(quotas.c.granted, quotas.c.taken)
        row = self._connection.execute(statement).one_or_none()
        if row is None:
            return TakenBlock(0, 0)
        return TakenBlock(row.granted, max(0, maximum - row.taken))

    def give_back(self, counter_id: str, *, period: str, count: int) -> None:
        quotas = self._tables.api_key_quotas
        statement = update(quotas).where(
            quotas.c.counter_id == counter_id, quotas.c.period == period, quotas.c.taken >= count
        )
        self._connection.execute(statement.values(taken=quotas.c.taken - count))

    def count(self, counter_id: str, *, period: str) -> int:
        quotas = self._tables.api_key_quotas
        statement = select(quotas.c.taken).where(quotas.c.counter_id == counter_id, quotas.c.period == period)
        return self._connection.execute(statement).scalar_one_or_none() or 0

    def move(self, counter_id: str, *, days: Sequence[str], month: str, expires_at: datetime) -> None:
        quotas = self._tables.api_key_quotas
        these = delete(quotas).where(quotas.c.counter_id == counter_id, quotas.c.period.in_(days))
        moved = sum(self._connection.execute(these.returning(quotas.c.taken)).scalars())
        if not moved:
            return
        first = self._insert(quotas).values(
            counter_id=counter_id, period=month, taken=moved, granted=0, expires_at=expires_at
        )
        statement = first.on_conflict_do_update(
            index_elements=["counter_id", "period"], set_={"taken": quotas.c.taken + moved}
        )
        self._connection.execute(statement)

    def prune_expired(self, *, before: datetime) -> int:
        quotas = self._tables.api_key_quotas
        row = (quotas.c.counter_id, quotas.c.period)
        batch = unlocked_batch(select(*row).where(quotas.c.expires_at < before))
        return self._count(delete(quotas).where(tuple_(*row).in_(batch)))
