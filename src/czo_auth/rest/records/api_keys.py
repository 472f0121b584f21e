"""API keys. The key itself is in `CreatedApiKey` and in no other record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from czo_auth.core.api_keys import key as core
from czo_auth.core.api_keys import usage as core_usage
from czo_auth.core.api_keys.quota import QuotaPeriod
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey as CoreCreatedApiKey
from czo_auth.core.paging import Page
from czo_auth.rest.records.base import ABSENT_IF_NONE, Count, Day, Id, Listed, Object, Record, Timestamp


def rate_limit_fields(api_key: core.ApiKey) -> dict[str, Any]:
    """Return the rate limit of a key as records have it; the window in milliseconds, as in better-auth."""
    limit = api_key.rate_limit
    return {
        "rate_limit_enabled": limit is not None,
        "rate_limit_max": None if limit is None else limit.requests,
        "rate_limit_time_window": None if limit is None else limit.window_seconds * 1000,
    }


class ApiKey(Record):
    """An API key without its secret."""

    id: Id
    name: str
    prefix: str
    organization_id: Id | None
    scopes: list[str]
    metadata: Object | None
    enabled: bool
    expires_at: Timestamp | None
    last_used_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    rotated_at: Timestamp | None
    allowed_ips: list[str] | None
    rate_limit_enabled: bool
    rate_limit_max: Count | None
    rate_limit_time_window: Count | None
    use_count: Count
    last_used_ip: str | None
    quota_max: Count | None
    quota_period: QuotaPeriod | None
    service_account_id: Id | None = ABSENT_IF_NONE

    @classmethod
    def of(cls, api_key: core.ApiKey, **more: Any) -> Self:
        """Make the record of *api_key*; *more* are the additional fields of a subclass."""
        return cls(
            id=api_key.id,
            name=api_key.name,
            prefix=api_key.prefix,
            organization_id=api_key.organization_id,
            scopes=list(api_key.scopes),
            metadata=api_key.metadata,
            enabled=api_key.enabled,
            expires_at=api_key.expires_at,
            last_used_at=api_key.last_used_at,
            created_at=api_key.created_at,
            updated_at=api_key.updated_at,
            rotated_at=api_key.rotated_at,
            allowed_ips=None if api_key.allowed_ips is None else list(api_key.allowed_ips),
            service_account_id=api_key.service_account_id,
            **rate_limit_fields(api_key),
            use_count=api_key.use_count,
            last_used_ip=api_key.last_used_ip,
            quota_max=api_key.quota_max,
            quota_period=api_key.quota_period,
            **more,
        )


class CreatedApiKey(ApiKey):
    """A new key with its secret, which is never shown again."""

    key: str

    @classmethod
    def of_created(cls, created: CoreCreatedApiKey) -> Self:
        """Make the record of a key that was created or rotated."""
        return cls.of(created.api_key, key=created.key)


class OwnedApiKey(ApiKey):
    """A key with its owner, for administrators; a service account has no address."""

    user_id: Id | None
    owner_email: str | None

    @classmethod
    def of_owned(cls, owned: core.OwnedApiKey) -> Self:
        """Make the record of a key and its owner."""
        return cls.of(owned.key, user_id=owned.key.user_id, owner_email=owned.owner_email)


class VerifiedApiKey(ApiKey):
    """A key, for the service that verifies it."""

    user_id: Id | None
    actor_type: str | None

    @classmethod
    def of(cls, api_key: core.ApiKey, **more: Any) -> Self:
        return super().of(api_key, user_id=api_key.user_id, actor_type=api_key.actor_type, **more)


class ClientApiKey(Record):
    """A key as better-auth's client expects it; fields that this product does not support are null."""

    id: Id
    name: str
    start: str
    prefix: str
    user_id: Id | None
    reference_id: Id
    config_id: Literal["default"]
    organization_id: Id | None
    enabled: bool
    expires_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    last_request: Timestamp | None
    request_count: Count
    rate_limit_enabled: bool
    rate_limit_max: Count | None
    rate_limit_time_window: Count | None
    permissions: None
    metadata: Object | None
    remaining: None
    refill_amount: None
    refill_interval: None
    last_refill_at: None
    key: str | None = ABSENT_IF_NONE

    @classmethod
    def of(cls, api_key: core.ApiKey, *, key: str | None = None) -> Self:
        """Make the record of *api_key*; *key* is the key itself if it was just created."""
        prefix = api_key.prefix
        return cls(
            id=api_key.id,
            name=api_key.name,
            start=prefix[:6],
            prefix=prefix[: prefix.index("_") + 1] if "_" in prefix else prefix,
            user_id=api_key.user_id,
            reference_id=api_key.organization_id or api_key.owner_id,
            config_id="default",
            organization_id=api_key.organization_id,
            enabled=api_key.enabled,
            expires_at=api_key.expires_at,
            created_at=api_key.created_at,
            updated_at=api_key.updated_at,
            last_request=api_key.last_used_at,
            request_count=api_key.use_count,
            permissions=None,
            metadata=api_key.metadata,
            remaining=None,
            refill_amount=None,
            refill_interval=None,
            last_refill_at=None,
            key=key,
            **rate_limit_fields(api_key),
        )


class ClientApiKeyList(Record):
    """A page of keys; ``limit`` and ``offset`` are present if a limit was requested."""

    api_keys: list[ClientApiKey]
    total: Count
    limit: Count | None = ABSENT_IF_NONE
    offset: Count | None = ABSENT_IF_NONE


class ApiKeyAnswer(Record):
    api_key: ApiKey

    @classmethod
    def of(cls, api_key: core.ApiKey) -> Self:
        """Answer with one key."""
        return cls(api_key=ApiKey.of(api_key))


class CreatedApiKeyAnswer(Record):
    api_key: CreatedApiKey

    @classmethod
    def of(cls, created: CoreCreatedApiKey) -> Self:
        """Answer with a key that was created or rotated."""
        return cls(api_key=CreatedApiKey.of_created(created))


class ApiKeyList(Listed):
    api_keys: list[ApiKey]

    @classmethod
    def of(cls, page: Page[core.ApiKey]) -> Self:
        """Answer with a page of keys."""
        keys = [ApiKey.of(each) for each in page.items]
        return cls(api_keys=keys, total=page.total, next_cursor=page.next_cursor)


class OwnedApiKeyList(Listed):
    api_keys: list[OwnedApiKey]

    @classmethod
    def of(cls, page: Page[core.OwnedApiKey]) -> Self:
        """Answer with a page of keys and their owners."""
        keys = [OwnedApiKey.of_owned(each) for each in page.items]
        return cls(api_keys=keys, total=page.total, next_cursor=page.next_cursor)


class ApiKeyVerdict(Record):
    """Whether a key is valid; ``code`` says why it is not."""

    valid: bool
    code: str | None = ABSENT_IF_NONE
    api_key: VerifiedApiKey | None = ABSENT_IF_NONE


class DayUsage(Record):
    """Uses of a key on one day (UTC), and uses that were refused."""

    day: Day
    used: Count
    refused: Count

    @classmethod
    def of(cls, usage: core_usage.DayUsage) -> Self:
        """Make the record of a day."""
        return cls(day=usage.day, used=usage.used, refused=usage.refused)


class KeyUsage(Record):
    """The days on which a key was used or refused, the oldest first; ``total`` counts days."""

    usage: list[DayUsage]
    total: Count

    @classmethod
    def of(cls, days: Sequence[core_usage.DayUsage]) -> Self:
        """Answer with the days of a key."""
        return cls(usage=[DayUsage.of(each) for each in days], total=len(days))
