"""Device authorizations, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import func, or_, select, update

from czo_auth.core.devices.authorization import DeviceAuthorization, DeviceStatus
from czo_auth.core.devices.store import DeviceAuthorizations
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns, values


class SqlDeviceAuthorizations(Store, DeviceAuthorizations):
    """Implements `czo_auth.core.devices.store.DeviceAuthorizations`."""

    def add(self, authorization: DeviceAuthorization, *, device_digest: str, user_digest: str) -> bool:
        row = {"device_digest": device_digest, "user_digest": user_digest, **values(authorization)}
        return self._insert_unless(self._tables.device_authorizations, ["user_digest"], row)

    def count(self, *, now: datetime) -> int:
        devices = self._tables.device_authorizations
        acquire_lock(self._connection, devices.name)
        statement = select(func.count()).select_from(devices).where(devices.c.expires_at > now)
        return self._connection.execute(statement).scalar_one()

    def lock_by_user_code(self, digests: Collection[str]) -> DeviceAuthorization | None:
        devices = self._tables.device_authorizations
        statement = select(*columns(devices, DeviceAuthorization)).where(
            devices.c.user_digest.in_(sorted(digests))
        )
        return self._one(DeviceAuthorization, statement.with_for_update())

    def lock_by_device_code(self, digest: str) -> DeviceAuthorization | None:
        devices = self._tables.device_authorizations
        statement = select(*columns(devices, DeviceAuthorization)).where(devices.c.device_digest == digest)
        return self._one(DeviceAuthorization, statement.with_for_update())

    def bind(self, authorization_id: str, *, lineage_id: str) -> bool:
        devices = self._tables.device_authorizations
        free = or_(devices.c.lineage_id.is_(None), devices.c.lineage_id == lineage_id)
        statement = update(devices).where(devices.c.id == authorization_id, free)
        return self._count(statement.values(lineage_id=lineage_id)) == 1

    def decide(
        self,
        authorization_id: str,
        *,
        status: DeviceStatus,
        user_id: str,
        api_key_id: str | None,
        sealed_key: str | None,
    ) -> bool:
        devices = self._tables.device_authorizations
        statement = update(devices).where(devices.c.id == authorization_id, devices.c.status == "pending")
        decision = statement.values(
            status=status, user_id=user_id, api_key_id=api_key_id, sealed_key=sealed_key
        )
        return self._count(decision) == 1

    def poll(self, authorization_id: str, *, polled_at: datetime, poll_seconds: int) -> None:
        devices = self._tables.device_authorizations
        statement = update(devices).where(devices.c.id == authorization_id)
        self._connection.execute(statement.values(polled_at=polled_at, poll_seconds=poll_seconds))

    def fetch(self, authorization_id: str, *, now: datetime) -> bool:
        devices = self._tables.device_authorizations
        statement = update(devices).where(devices.c.id == authorization_id, devices.c.status == "approved")
        return self._count(statement.values(status="fetched", fetched_at=now, sealed_key=None)) == 1

    def end(self, authorization_id: str) -> None:
        devices = self._tables.device_authorizations
        statement = update(devices).where(devices.c.id == authorization_id)
        self._connection.execute(statement.values(status="ended", sealed_key=None))

    def unfetched_expired(self, *, before: datetime, limit: int) -> Sequence[DeviceAuthorization]:
        devices = self._tables.device_authorizations
        statement = select(*columns(devices, DeviceAuthorization)).where(
            devices.c.status == "approved", devices.c.expires_at < before
        )
        return self._all(DeviceAuthorization, statement.order_by(devices.c.expires_at).limit(limit))

    def sealed_after(self, authorization_id: str, *, limit: int) -> Sequence[DeviceAuthorization]:
        devices = self._tables.device_authorizations
        statement = select(*columns(devices, DeviceAuthorization)).where(
            devices.c.id > authorization_id, devices.c.sealed_key.is_not(None)
        )
        return self._all(DeviceAuthorization, statement.order_by(devices.c.id).limit(limit))

    def prune_expired(self, *, before: datetime) -> int:
        devices = self._tables.device_authorizations
        return self._prune(devices, devices.c.expires_at, before)
