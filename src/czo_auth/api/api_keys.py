"""``auth.api_keys``: create, list, rotate and revoke API keys of users."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta

from czo_auth.api.host_api import HostApi, context_of
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.quota import QuotaPeriod, QuotaUpdate
from czo_auth.core.api_keys.usage import DayUsage
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey, NewApiKey
from czo_auth.core.flows.api_keys.own_keys import list_keys_of
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import Page, PageQuery
from czo_auth.core.principal import Principal


class ApiKeys(HostApi):
    """API keys of the deployment. The text of a key is only in the result of creating it."""

    async def create(
        self,
        user_id: str,
        *,
        name: str,
        scopes: Collection[str] = (),
        organization_id: str | None = None,
        expires_in: timedelta | None = None,
        expires_at: datetime | None = None,
        metadata: Mapping[str, object] | None = None,
        allowed_ips: Collection[str] | None = None,
        quota: tuple[int, QuotaPeriod] | None = None,
        actor_type: str | None = None,
        by: Principal | None = None,
    ) -> CreatedApiKey:
        """
        Create a key that acts for a user, with scopes that the user may grant.

        Args:
            organization_id: The only organization that the key acts in.
            quota: Uses in each day or month, like ``(10_000, "month")``; by UTC. None for no quota.
            actor_type: Actor type that the key reports; by default the default one.
            by: The user on whose behalf the host acts, for the audit log.

        Returns:
            ``key``, the text to show once, and ``api_key``, the stored record.

        Raises:
            NotFound: There is no such user.
            ValidationFailed, LifetimeTooLong: Invalid name, expiry, scopes, addresses or quota.
            NotMemberOfOrganization, InsufficientApiKeyPermissions, InsufficientScope: The user may not create it.
            ApiKeyLimitReached, RateLimited: The user reached the maximum, or today's limit.
        """
        principal = await self._principal(user_id, actor_type=actor_type)
        runtime = self._runtime
        new = NewApiKey(
            name=name,
            organization_id=organization_id,
            scopes=tuple(scopes),
            expires_in=expires_in,
            expires_at=expires_at,
            metadata=metadata,
            allowed_ips=None if allowed_ips is None else tuple(allowed_ips),
            quota=QuotaUpdate() if quota is None else QuotaUpdate.of(*quota),
        )
        return await runtime.create_api_keys.create(
            new, context=context_of(by, now=runtime.now(), principal=principal)
        )

    async def get(self, key_id: str) -> ApiKey:
        """
        Return a key by id.

        Raises:
            NotFound: It does not exist, or it was revoked.
        """
        runtime = await self._started()
        return await runtime.administration.get_api_key(key_id)

    async def usage(
        self, key_id: str, *, first: date | None = None, last: date | None = None
    ) -> Sequence[DayUsage]:
        """
        Return the days (UTC) on which a key was used or refused, the oldest first; 400 days are kept.

        Args:
            first: By default as early as is kept.
            last: By default today.

        Raises:
            NotFound: There is no such key, or it was revoked.
            ValidationFailed: *first* lies behind *last*.
        """
        runtime = await self._started()
        return await runtime.key_usage.of_any(key_id, first=first, last=last, now=runtime.now())

    async def list(
        self,
        user_id: str,
        *,
        organization_id: str | None = None,
        limit: int = DEFAULT_PAGE,
        cursor: str | None = None,
    ) -> Page[ApiKey]:
        """
        List the keys of a user, newest first; those of one organization if given.

        Raises:
            NotFound: There is no such user.
            ValidationFailed: The cursor is not valid.
        """
        user = await self._user(user_id)
        return await list_keys_of(
            self._runtime.services,
            user.id,
            organization_id=organization_id,
            page=PageQuery(limit=limit, cursor=cursor),
            now=self._runtime.now(),
        )

    async def rotate(
        self, key_id: str, *, overlap: timedelta = timedelta(0), by: Principal | None = None
    ) -> CreatedApiKey:
        """
        Replace a user's or service account's key with one that has the same rights; the old one stays valid for
        *overlap*.

        Raises:
            NotFound: It does not exist, or it was revoked.
            ApiKeyAlreadyRotated, ValidationFailed: It was rotated before, or *overlap* is longer than a day.
        """
        key = await self.get(key_id)
        runtime = self._runtime
        if key.user_id is None:
            return await runtime.service_account_keys.operate_rotate(
                key.organization_id or "",
                key.id,
                overlap=overlap,
                context=context_of(by, now=runtime.now()),
            )
        principal = await self._principal(key.user_id, actor_type=key.actor_type)
        return await runtime.create_api_keys.rotate(
            key.id, overlap=overlap, context=context_of(by, now=runtime.now(), principal=principal)
        )

    async def revoke(self, key_id: str, *, by: Principal | None = None) -> None:
        """
        Revoke a key immediately, regardless of its owner.

        Raises:
            NotFound: It does not exist, or it was revoked.
        """
        runtime = await self._started()
        await runtime.administration.revoke_api_key(key_id, context=context_of(by, now=runtime.now()))
