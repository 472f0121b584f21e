"""``auth.service_accounts``: identities of organizations for machines, and their API keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from czo_auth.api.host_api import HostApi, context_of
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey, NewApiKey
from czo_auth.core.flows.service_accounts.manage import (
    NewServiceAccount,
    ServiceAccountChanges,
    list_accounts,
)
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import Page, PageQuery
from czo_auth.core.principal import Principal
from czo_auth.core.service_accounts.account import ServiceAccount


class ServiceAccounts(HostApi):
    """
    Service accounts of organizations. Their API keys do not act for a user, and outlive their creator.

    The text of a key is only in the result of creating it. `ApiKeys.rotate` and `ApiKeys.revoke` accept these keys too.
    """

    async def create(
        self,
        organization_id: str,
        *,
        name: str,
        description: str | None = None,
        scopes: Collection[str] = (),
        by: Principal | None = None,
    ) -> ServiceAccount:
        """
        Create a service account.

        Args:
            scopes: The most that its keys may have.
            by: The user on whose behalf the host acts, for the audit log.

        Raises:
            UnknownOrganization: No such id.
            ValidationFailed: Invalid name, description or scopes.
            InsufficientScope: No service account may have one of the scopes.
            ServiceAccountLimitReached, RateLimited: The organization reached the maximum, or today's limit.
        """
        runtime = await self._started()
        new = NewServiceAccount(name=name, description=description, scopes=tuple(scopes))
        return await runtime.manage_service_accounts.operate_create(
            organization_id, new, context=context_of(by, now=runtime.now())
        )

    async def list(
        self, organization_id: str, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[ServiceAccount]:
        """
        List the service accounts of an organization, newest first.

        Raises:
            UnknownOrganization: No such id.
            ValidationFailed: The cursor is not valid.
        """
        runtime = await self._started()
        await runtime.operate_organizations.get(organization_id)
        page = PageQuery(limit=limit, cursor=cursor)
        return await runtime.services.transactions.read(lambda tx: list_accounts(tx, organization_id, page))

    async def set_enabled(
        self, organization_id: str, account_id: str, *, enabled: bool, by: Principal | None = None
    ) -> ServiceAccount:
        """
        Enable or disable a service account; while it is disabled, its keys are refused.

        Raises:
            UnknownOrganization, NotFound: There is no such organization or account.
        """
        changes = ServiceAccountChanges(given=frozenset({"enabled"}), enabled=enabled)
        return await self._change(organization_id, account_id, changes, by=by)

    async def set_scopes(
        self, organization_id: str, account_id: str, scopes: Collection[str], *, by: Principal | None = None
    ) -> ServiceAccount:
        """
        Replace the scopes of a service account; its keys lose those that it loses, at the next request.

        Raises:
            UnknownOrganization, NotFound: There is no such organization or account.
            ValidationFailed, InsufficientScope: Invalid scopes.
        """
        changes = ServiceAccountChanges(given=frozenset({"scopes"}), scopes=tuple(scopes))
        return await self._change(organization_id, account_id, changes, by=by)

    async def _change(
        self,
        organization_id: str,
        account_id: str,
        changes: ServiceAccountChanges,
        *,
        by: Principal | None,
    ) -> ServiceAccount:
        runtime = await self._started()
        return await runtime.manage_service_accounts.operate_change(
            organization_id, account_id, changes, context=context_of(by, now=runtime.now())
        )

    async def delete(self, organization_id: str, account_id: str, *, by: Principal | None = None) -> None:
        """
        Delete a service account; its keys end immediately.

        Raises:
            UnknownOrganization, NotFound: There is no such organization or account.
        """
        runtime = await self._started()
        await runtime.manage_service_accounts.operate_delete(
            organization_id, account_id, context=context_of(by, now=runtime.now())
        )

    async def create_api_key(
        self,
        organization_id: str,
        account_id: str,
        *,
        name: str,
        scopes: Collection[str] = (),
        expires_in: timedelta | None = None,
        expires_at: datetime | None = None,
        metadata: Mapping[str, object] | None = None,
        allowed_ips: Collection[str] | None = None,
        by: Principal | None = None,
    ) -> CreatedApiKey:
        """
        Create a key of a service account, with scopes that the account has.

        Returns:
            ``key``, the text to show once, and ``api_key``, the stored record.

        Raises:
            UnknownOrganization, NotFound: There is no such organization or account.
            ValidationFailed, LifetimeTooLong: Invalid name, expiry, scopes or addresses.
            InsufficientScope: The account does not have one of the scopes.
            ApiKeyLimitReached, RateLimited: The account reached the maximum, or the organization today's limit.
        """
        runtime = await self._started()
        new = NewApiKey(
            name=name,
            scopes=tuple(scopes),
            expires_in=expires_in,
            expires_at=expires_at,
            metadata=metadata,
            allowed_ips=None if allowed_ips is None else tuple(allowed_ips),
        )
        return await runtime.service_account_keys.operate_create(
            organization_id, account_id, new, context=context_of(by, now=runtime.now())
        )
