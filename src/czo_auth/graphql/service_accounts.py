"""GraphQL types for service accounts and the keys that act in an organization."""

from __future__ import annotations

from datetime import datetime

import strawberry

from czo_auth.core.api_keys import key
from czo_auth.core.service_accounts import account


@strawberry.type(
    description="An organization's identity for machines. Its keys keep working when their creator leaves."
)
class ServiceAccount:
    id: strawberry.ID
    organization_id: strawberry.ID
    name: str
    description: str | None
    scopes: list[str] = strawberry.field(description="The scopes that its keys may have.")
    enabled: bool
    created_by: strawberry.ID | None = strawberry.field(description="The user who created it.")
    created_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, found: account.ServiceAccount) -> ServiceAccount:
        """Shape a service account."""
        return cls(
            id=strawberry.ID(found.id),
            organization_id=strawberry.ID(found.organization_id),
            name=found.name,
            description=found.description,
            scopes=list(found.scopes),
            enabled=found.enabled,
            created_by=None if found.created_by is None else strawberry.ID(found.created_by),
            created_at=found.created_at,
            last_used_at=found.last_used_at,
        )


@strawberry.type(description="The owner of a key: a user or a service account.")
class KeyOwner:
    kind: str = strawberry.field(description="user or service_account.")
    id: strawberry.ID
    name: str


@strawberry.type(description="A key that acts in an organization, without the key itself.")
class OrganizationApiKey:
    id: strawberry.ID
    name: str
    prefix: str
    owner: KeyOwner
    created_by: strawberry.ID | None = strawberry.field(description="The user who created or rotated it.")
    scopes: list[str]
    enabled: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, owned: key.OwnedApiKey) -> OrganizationApiKey:
        """Shape a key and its owner."""
        api_key = owned.key
        created_by = api_key.created_by or api_key.user_id
        return cls(
            id=strawberry.ID(api_key.id),
            name=api_key.name,
            prefix=api_key.prefix,
            owner=KeyOwner(kind=owned.owner_kind, id=strawberry.ID(api_key.owner_id), name=owned.owner_name),
            created_by=None if created_by is None else strawberry.ID(created_by),
            scopes=list(api_key.scopes),
            enabled=api_key.enabled,
            expires_at=api_key.expires_at,
            last_used_at=api_key.last_used_at,
            created_at=api_key.created_at,
        )
