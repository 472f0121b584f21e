"""Service accounts, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, func, select, update

from czo_auth.core.paging import Position
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.service_accounts.store import ServiceAccounts
from czo_auth.storage.store import Store, columns, values


class SqlServiceAccounts(Store, ServiceAccounts):
    """Implements `czo_auth.core.service_accounts.store.ServiceAccounts`."""

    def add(self, account: ServiceAccount) -> None:
        self._add(self._tables.service_accounts, values(account, but=["last_used_at"]))

    def find(self, organization_id: str, account_id: str) -> ServiceAccount | None:
        accounts = self._tables.service_accounts
        statement = self._accounts().where(
            accounts.c.id == account_id, accounts.c.organization_id == organization_id
        )
        return self._one(ServiceAccount, statement, ids=[organization_id, account_id])

    def list_of(
        self, organization_id: str, *, after: Position | None = None, limit: int
    ) -> Sequence[ServiceAccount]:
        accounts = self._tables.service_accounts
        statement = self._accounts().where(accounts.c.organization_id == organization_id)
        return self._all(ServiceAccount, self._page(statement, accounts, after, limit=limit))

    def count_of(self, organization_id: str) -> int:
        accounts = self._tables.service_accounts
        return self._count_up_to(accounts, accounts.c.organization_id == organization_id)

    def update(self, changed: ServiceAccount) -> bool:
        accounts = self._tables.service_accounts
        statement = (
            update(accounts)
            .where(accounts.c.id == changed.id)
            .values(
                name=changed.name,
                description=changed.description,
                scopes=changed.scopes,
                enabled=changed.enabled,
                updated_at=changed.updated_at,
            )
        )
        return self._count(statement) == 1

    def delete(self, account_id: str) -> bool:
        accounts = self._tables.service_accounts
        return self._count(delete(accounts).where(accounts.c.id == account_id)) == 1

    def _accounts(self) -> Select[Any]:
        accounts, keys = self._tables.service_accounts, self._tables.api_keys
        last_use = (
            select(func.max(keys.c.last_used_at))
            .where(keys.c.service_account_id == accounts.c.id)
            .correlate(accounts)
            .scalar_subquery()
        )
        return select(
            *columns(accounts, ServiceAccount, but=["last_used_at"]), last_use.label("last_used_at")
        )
