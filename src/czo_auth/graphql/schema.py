"""
The GraphQL schema (docs/reference/graphql.md): the caller's own data.

A resolver calls one flow and converts its result; the flow decides who may see what. No type has a field for a key, a
hash or a secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import strawberry
from graphql import DocumentNode, GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.federation.schema import FederationAny
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, Info

from czo_auth.asgi.admission import RequestContext
from czo_auth.asgi.timestamps import format_timestamp, parse_timestamp
from czo_auth.core.api_keys import key
from czo_auth.core.api_keys.store import KeyFilter
from czo_auth.core.errors import SessionRequired, UnknownOrganization, ValidationFailed
from czo_auth.core.flows.users.profile import get_user
from czo_auth.core.limits import MAX_PAGE
from czo_auth.core.organizations import organization as organizations
from czo_auth.core.sessions import session as sessions
from czo_auth.core.users import user as users
from czo_auth.core.users.user_fields import UserFields
from czo_auth.graphql.service_accounts import OrganizationApiKey, ServiceAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLContext:
    """The context of one request."""

    call: RequestContext
    document: DocumentNode


CurrentRequest = Info[GraphQLContext, None]
UnusedSince = Annotated[
    datetime | None,
    strawberry.argument(description="Only keys that were neither used nor made since then."),
]


@strawberry.federation.type(keys=["id"], description="A person.")
class User:
    id: strawberry.ID
    email: str
    name: str
    email_verified: bool
    image: str | None
    two_factor_enabled: bool
    actor_types: list[str]
    created_at: datetime
    updated_at: datetime
    user_fields: JSON = strawberry.field(
        name="ownFields",
        description="The deployment's own fields, by their names in REST; an empty object if there are none.",
    )

    @classmethod
    def of(cls, user: users.User, user_fields: UserFields) -> User:
        """Shape a user."""
        return cls(
            id=strawberry.ID(user.id),
            email=user.email,
            name=user.name,
            email_verified=user.email_verified,
            image=user.image,
            two_factor_enabled=user.has_factor,
            actor_types=sorted(user.actor_types),
            created_at=user.created_at,
            updated_at=user.updated_at,
            user_fields=JSON(dict(user_fields.shown(user.fields))),
        )


@strawberry.type(description="A key for machines, without the key itself.")
class ApiKey:
    id: strawberry.ID
    name: str
    prefix: str
    organization_id: strawberry.ID | None
    scopes: list[str]
    enabled: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    allowed_ips: list[str] | None = strawberry.field(
        description="Addresses and networks from which it may be used; null for any."
    )
    rate_limit_max: int | None = strawberry.field(description="Uses in a window; null for no limit.")
    rate_limit_time_window: int | None = strawberry.field(description="The window, in milliseconds.")
    use_count: float = strawberry.field(description="How often it was used.")
    last_used_ip: str | None = strawberry.field(description="The network from which it was last used.")
    quota_max: int | None = strawberry.field(description="Uses in a day or month; null for no quota.")
    quota_period: str | None = strawberry.field(description="`day` or `month`, in UTC.")

    @classmethod
    def of(cls, api_key: key.ApiKey) -> ApiKey:
        """Shape an API key."""
        limit = api_key.rate_limit
        return cls(
            id=strawberry.ID(api_key.id),
            name=api_key.name,
            prefix=api_key.prefix,
            organization_id=_id_or_none(api_key.organization_id),
            scopes=list(api_key.scopes),
            enabled=api_key.enabled,
            expires_at=api_key.expires_at,
            last_used_at=api_key.last_used_at,
            created_at=api_key.created_at,
            allowed_ips=None if api_key.allowed_ips is None else list(api_key.allowed_ips),
            rate_limit_max=limit.requests if limit else None,
            rate_limit_time_window=limit.window_seconds * 1000 if limit else None,
            use_count=api_key.use_count,
            last_used_ip=api_key.last_used_ip,
            quota_max=api_key.quota_max,
            quota_period=api_key.quota_period,
        )


@strawberry.type(description="A place where the caller is signed in.")
class Session:
    id: strawberry.ID
    actor_type: str
    organization_id: strawberry.ID | None
    aal: int
    amr: list[str]
    created_at: datetime
    expires_at: datetime
    current: bool
    ip_address: str | None
    user_agent: str | None

    @classmethod
    def of(cls, session: sessions.Session, *, current: str | None) -> Session:
        """Shape a session; *current* is the id of the caller's."""
        return cls(
            id=strawberry.ID(session.id),
            actor_type=session.actor_type,
            organization_id=_id_or_none(session.organization_id),
            aal=session.aal,
            amr=list(session.amr),
            created_at=session.created_at,
            expires_at=session.expires_at,
            current=session.id == current,
            ip_address=session.ip,
            user_agent=session.user_agent,
        )


@strawberry.federation.type(keys=["id"], description="An organization that the caller is a member of.")
class Organization:
    id: strawberry.ID
    name: str
    slug: str
    role: str | None = strawberry.field(
        description="The caller's role there; null for a service account, which has none."
    )
    created_at: datetime
    api_key_max_days: int | None = strawberry.field(
        description="Maximum lifetime of its API keys, in days; null for no limit."
    )
    api_key_unused_days: int | None = strawberry.field(
        description="Days without use after which its API keys expire; null for never."
    )
    require_two_factor_from: datetime | None = strawberry.field(
        description="From when on members need a second factor; null if they do not."
    )
    two_factor_grace_days: int = strawberry.field(
        description="Days after first joining during which a member does not need one yet."
    )

    @strawberry.field
    async def service_accounts(self, info: CurrentRequest) -> list[ServiceAccount]:
        call = info.context.call
        found = await call.runtime.manage_service_accounts.list(str(self.id), context=call.context)
        return [ServiceAccount.of(account) for account in found.items]

    @strawberry.field
    async def api_keys(
        self, info: CurrentRequest, unused_since: UnusedSince = strawberry.UNSET
    ) -> list[OrganizationApiKey]:
        call = info.context.call
        wanted = KeyFilter(unused_since=unused_since or None)
        found = await call.runtime.organization_keys.list(str(self.id), wanted, context=call.context)
        return [OrganizationApiKey.of(owned) for owned in found.items]

    @classmethod
    def of(cls, organization: organizations.Organization, *, role: str | None) -> Organization:
        """Shape an organization; *role* is the caller's."""
        return cls(
            id=strawberry.ID(organization.id),
            name=organization.name,
            slug=organization.slug,
            role=role,
            created_at=organization.created_at,
            api_key_max_days=organization.api_key_max_days,
            api_key_unused_days=organization.api_key_unused_days,
            require_two_factor_from=organization.require_two_factor_from,
            two_factor_grace_days=organization.two_factor_grace_days,
        )


Entity = Annotated[Organization | User, strawberry.union("_Entity")]


async def _entities(info: CurrentRequest, representations: list[FederationAny]) -> list[Entity | None]:
    """
    Resolve the caller's own user and organizations for a gateway; anything else is null.

    Raises:
        ValidationFailed: There are too many.
    """
    if len(representations) > MAX_PAGE:
        raise ValidationFailed(details=(("representations", f"At most {MAX_PAGE}."),))
    named = [_named(representation) for representation in representations]
    call = info.context.call
    own: dict[tuple[str, str], Organization | User] = {}
    if ("User", call.caller.user_id or "") in named:
        user = await get_user(call.runtime.services, call.caller)
        own["User", user.id] = User.of(user, call.user_fields)
    if any(type_name == "Organization" for type_name, _ in named):
        ids = [id_ for type_name, id_ in named if type_name == "Organization"]
        for found, role in await call.runtime.manage_organizations.find(ids, context=call.context):
            own["Organization", found.id] = Organization.of(found, role=role)
    return [own.get(name) for name in named]


@strawberry.type
class Query:
    @strawberry.field
    async def me(self, info: CurrentRequest) -> User:
        call = info.context.call
        user = await get_user(call.runtime.services, call.caller)
        return User.of(user, call.user_fields)

    @strawberry.field
    async def my_api_keys(
        self,
        info: CurrentRequest,
        organization_id: strawberry.ID | None = strawberry.UNSET,
        unused_since: UnusedSince = strawberry.UNSET,
    ) -> list[ApiKey]:
        call = _with_session(info)
        chosen = None if organization_id is strawberry.UNSET else organization_id
        found = await call.runtime.manage_api_keys.list(
            organization_id=chosen, unused_since=unused_since or None, context=call.context
        )
        return [ApiKey.of(api_key) for api_key in found.items]

    @strawberry.field
    async def my_sessions(self, info: CurrentRequest) -> list[Session]:
        call = _with_session(info)
        found = await call.runtime.manage_sessions.list(context=call.context)
        return [Session.of(session, current=call.caller.session_id) for session in found]

    @strawberry.field
    async def my_organizations(self, info: CurrentRequest) -> list[Organization]:
        return await _organizations(info.context.call)

    @strawberry.field
    async def organization(self, info: CurrentRequest, id: strawberry.ID) -> Organization | None:
        call = info.context.call
        try:
            seen = await call.runtime.manage_organizations.get(id, context=call.context)
        except UnknownOrganization:
            return None
        return Organization.of(seen.organization, role=seen.role)

    entities: list[Entity | None] = strawberry.field(resolver=_entities, name="_entities")


async def _organizations(call: RequestContext) -> list[Organization]:
    found = await call.runtime.manage_organizations.list(call.caller, newest_first=True)
    return [Organization.of(organization, role=role) for organization, role in found.items]


def _with_session(info: CurrentRequest) -> RequestContext:
    """
    Return the call of a field that only sessions may query (S16).

    Raises:
        SessionRequired: The caller uses an API key.
    """
    call: RequestContext = info.context.call
    if call.caller.kind != "session":
        raise SessionRequired
    return call


def _named(representation: object) -> tuple[str, str]:
    """Read the type and id of the entity that a gateway requests; both are empty if they are not valid."""
    if isinstance(representation, dict):
        type_name, id_ = representation.get("__typename"), representation.get("id")
        if isinstance(type_name, str) and isinstance(id_, str):
            return type_name, id_
    return "", ""


def _id_or_none(text: str | None) -> strawberry.ID | None:
    return None if text is None else strawberry.ID(text)


class _Accepted(SchemaExtension):
    """Executes the document that was already accepted, instead of parsing the text again."""

    def on_operation(self) -> Iterator[None]:
        self.execution_context.graphql_document = self.execution_context.context.document
        self.execution_context.validation_rules = ()
        yield


class _Schema(strawberry.federation.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing here: strawberry's log quotes the document with its literals (S28)."""


SCHEMA = _Schema(
    query=Query,
    extensions=[_Accepted],
    config=StrawberryConfig(
        scalar_map={
            datetime: strawberry.scalar(
                name="DateTime",
                description="A time like 2026-01-31T12:00:00.000Z.",
                serialize=format_timestamp,
                parse_value=parse_timestamp,
            )
        }
    ),
)
