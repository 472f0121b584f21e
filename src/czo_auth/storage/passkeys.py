"""Passkeys and answered ceremonies, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, delete, func, literal, or_, select, update

from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.passkeys.store import Passkeys
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns, values


class SqlPasskeys(Store, Passkeys):
    """Implements `czo_auth.core.passkeys.store.Passkeys`."""

    def add(self, passkey: Passkey) -> bool:
        return self._insert_unless(self._tables.passkeys, ["credential_id"], values(passkey))

    def find(self, user_id: str, passkey_id: str) -> Passkey | None:
        passkeys = self._tables.passkeys
        statement = select(*columns(passkeys, Passkey))
        return self._one(Passkey, statement.where(passkeys.c.id == passkey_id, passkeys.c.user_id == user_id))

    def find_by_credential(self, credential_id: str) -> Passkey | None:
        passkeys = self._tables.passkeys
        statement = select(*columns(passkeys, Passkey))
        return self._one(Passkey, statement.where(passkeys.c.credential_id == credential_id))

    def list(self, user_id: str) -> Sequence[Passkey]:
        passkeys = self._tables.passkeys
        statement = select(*columns(passkeys, Passkey)).where(passkeys.c.user_id == user_id)
        return self._all(Passkey, statement.order_by(passkeys.c.created_at.desc(), passkeys.c.id.desc()))

    def count(self, user_id: str) -> int:
        passkeys = self._tables.passkeys
        statement = select(func.count()).select_from(passkeys).where(passkeys.c.user_id == user_id)
        return self._connection.execute(statement).scalar_one()

    def rename(self, user_id: str, passkey_id: str, *, name: str) -> bool:
        passkeys = self._tables.passkeys
        statement = update(passkeys).where(passkeys.c.id == passkey_id, passkeys.c.user_id == user_id)
        return self._count(statement.values(name=name)) == 1

    def record_use(
        self, passkey_id: str, *, sign_count: int, backup_eligible: bool, backed_up: bool, now: datetime
    ) -> bool:
        passkeys = self._tables.passkeys
        stored = passkeys.c.sign_count
        neither_counts = and_(stored == 0, literal(sign_count) == 0)
        statement = update(passkeys).where(
            passkeys.c.id == passkey_id, or_(stored < sign_count, neither_counts)
        )
        seen = statement.values(
            sign_count=sign_count, backup_eligible=backup_eligible, backed_up=backed_up, last_used_at=now
        )
        return self._count(seen) == 1

    def delete(self, user_id: str, passkey_id: str) -> bool:
        passkeys = self._tables.passkeys
        statement = delete(passkeys).where(passkeys.c.id == passkey_id, passkeys.c.user_id == user_id)
        return self._count(statement) == 1

    def delete_all(self, user_id: str) -> Sequence[Passkey]:
        passkeys = self._tables.passkeys
        statement = delete(passkeys).where(passkeys.c.user_id == user_id)
        return self._all(Passkey, statement.returning(*columns(passkeys, Passkey)))

    def count_by_rp_id(self) -> dict[str, int]:
        rp_id = self._tables.passkeys.c.rp_id
        counted = self._connection.execute(select(rp_id, func.count().label("number")).group_by(rp_id))
        return {row.rp_id: row.number for row in counted}

    # ceremonies
    def consume_ceremony(self, digest: str, *, network: str, expires_at: datetime) -> bool:
        row = {"digest": digest, "network": network, "expires_at": expires_at}
        return self._insert_unless(self._tables.passkey_ceremonies, ["digest"], row)

    def count_answered(self, network: str, *, now: datetime) -> int:
        marks = self._tables.passkey_ceremonies
        acquire_lock(self._connection, f"{marks.name}:{network}")
        statement = select(func.count()).select_from(marks)
        live = statement.where(marks.c.network == network, marks.c.expires_at > now)
        return self._connection.execute(live).scalar_one()

    def prune_expired(self, *, before: datetime) -> int:
        marks = self._tables.passkey_ceremonies
        return self._prune(marks, marks.c.expires_at, before)
