"""Check values of encryption keys, in SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from czo_auth.core.key_checks import KeyChecks
from czo_auth.storage.store import Store


class SqlKeyChecks(Store, KeyChecks):
    """Implements `czo_auth.core.key_checks.KeyChecks`."""

    def find_all(self) -> dict[str, str]:
        checks = self._tables.key_checks
        rows = self._connection.execute(select(checks.c.kid, checks.c.check_value).order_by(checks.c.kid))
        return {row.kid: row.check_value for row in rows}

    def add(self, kid: str, check_value: str, *, now: datetime) -> bool:
        row = {"kid": kid, "check_value": check_value, "created_at": now}
        return self._insert_unless(self._tables.key_checks, ["kid"], row)

    def remove(self, kid: str) -> None:
        checks = self._tables.key_checks
        self._connection.execute(delete(checks).where(checks.c.kid == kid))
