"""Service accounts, and the keys that act in an organization, of members and service accounts."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import WithJsonSchema

from czo_auth.core.api_keys import key as core_key
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey as CoreCreatedApiKey
from czo_auth.core.paging import Page
from czo_auth.core.service_accounts import account as core
from czo_auth.rest.records.api_keys import ApiKey
from czo_auth.rest.records.base import Id, Listed, Record, Timestamp

OwnerKind = Annotated[str, WithJsonSchema({"enum": ["user", "service_account"]})]


class ServiceAccount(Record):
    """A service account of an organization."""

    id: Id
    organization_id: Id
    name: str
    description: str | None
    scopes: list[str]
    enabled: bool
    created_by: Id | None
    created_at: Timestamp
    last_used_at: Timestamp | None

    @classmethod
    def of(cls, account: core.ServiceAccount) -> Self:
        """Make the record of *account*."""
        return cls(
            id=account.id,
            organization_id=account.organization_id,
            name=account.name,
            description=account.description,
            scopes=list(account.scopes),
            enabled=account.enabled,
            created_by=account.created_by,
            created_at=account.created_at,
            last_used_at=account.last_used_at,
        )


class ServiceAccountAnswer(Record):
    service_account: ServiceAccount

    @classmethod
    def of(cls, account: core.ServiceAccount) -> Self:
        """Answer with one service account."""
        return cls(service_account=ServiceAccount.of(account))


class ServiceAccountList(Listed):
    service_accounts: list[ServiceAccount]

    @classmethod
    def of(cls, page: Page[core.ServiceAccount]) -> Self:
        """Answer with a page of service accounts."""
        accounts = [ServiceAccount.of(each) for each in page.items]
        return cls(service_accounts=accounts, total=page.total, next_cursor=page.next_cursor)


class OrganizationApiKey(ApiKey):
    """A key that acts in an organization; ``user_id`` is null where it belongs to a service account."""

    user_id: Id | None
    created_by: Id | None

    @classmethod
    def of(cls, api_key: core_key.ApiKey, **more: Any) -> Self:
        created_by = api_key.created_by or api_key.user_id
        return super().of(api_key, user_id=api_key.user_id, created_by=created_by, **more)


class OrganizationApiKeyAnswer(Record):
    api_key: OrganizationApiKey

    @classmethod
    def of(cls, api_key: core_key.ApiKey) -> Self:
        """Answer with one key."""
        return cls(api_key=OrganizationApiKey.of(api_key))


class CreatedOrganizationApiKey(OrganizationApiKey):
    """A new key with its secret, which is never shown again."""

    key: str

    @classmethod
    def of_created(cls, created: CoreCreatedApiKey) -> Self:
        """Make the record of a key that was created, rotated or transferred."""
        return cls.of(created.api_key, key=created.key)


class CreatedOrganizationApiKeyAnswer(Record):
    api_key: CreatedOrganizationApiKey

    @classmethod
    def of(cls, created: CoreCreatedApiKey) -> Self:
        """Answer with a key that was created, rotated or transferred."""
        return cls(api_key=CreatedOrganizationApiKey.of_created(created))


class KeyOwner(Record):
    """The owner of a key."""

    kind: OwnerKind
    id: Id
    name: str


class ActingApiKey(OrganizationApiKey):
    """A key that acts in an organization, with its owner."""

    owner: KeyOwner

    @classmethod
    def of_owned(cls, owned: core_key.OwnedApiKey) -> Self:
        """Make the record of a key and its owner."""
        owner = KeyOwner(kind=owned.owner_kind, id=owned.key.owner_id, name=owned.owner_name)
        return cls.of(owned.key, owner=owner)


class ActingApiKeyList(Listed):
    api_keys: list[ActingApiKey]

    @classmethod
    def of(cls, page: Page[core_key.OwnedApiKey]) -> Self:
        """Answer with a page of keys and their owners."""
        keys = [ActingApiKey.of_owned(each) for each in page.items]
        return cls(api_keys=keys, total=page.total, next_cursor=page.next_cursor)
