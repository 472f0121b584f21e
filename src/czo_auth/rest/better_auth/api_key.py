"""better-auth's API-key calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Annotated, Any, Literal, TypedDict

from fastapi import Query
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.asgi.long_lists import in_turns
from czo_auth.core.access import ACCOUNT
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.store import KeyOrder
from czo_auth.core.errors import (
    Forbidden,
    InsufficientScope,
    LifetimeTooLong,
    NotFound,
    OrganizationTwoFactorRequired,
    ReauthenticationRequired,
    Unauthorized,
    UnknownOrganization,
)
from czo_auth.core.fields import checked_name
from czo_auth.core.flows.api_keys.changes import ApiKeyChanges
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.limits import DEFAULT_PAGE, MAX_BETTER_AUTH_PAGE, MAX_ID, MAX_NAME, MAX_OFFSET, MAX_PAGE
from czo_auth.core.paging import Page
from czo_auth.rest import records
from czo_auth.rest.api_keys import Seconds, seconds
from czo_auth.rest.better_auth.errors import (
    ExpiresInTooLarge,
    ExpiresInTooSmall,
    InvalidNameLength,
    InvalidPrefixLength,
    KeyNotFound,
    NoValuesToUpdate,
    ServerOnlyProperty,
    UnauthorizedSession,
)
from czo_auth.rest.models import SERVER_SIDE, Body, Identifier, Metadata
from czo_auth.rest.queries import OrganizationFilter
from czo_auth.rest.routing import CurrentRequest, GuardedRoute, Routes

routes = Routes("better-auth: API keys", ignores_unknown_fields=True)
DEFAULT_NAME = "API key"
_COLUMNS: dict[str, KeyOrder] = {
    "createdAt": "created_at",
    "name": "name",
    "expiresAt": "expires_at",
    "updatedAt": "updated_at",
}
SHORTEST_LIFE = timedelta(days=1)
_OWNERS = frozenset({"userId", "user_id", "ownerId", "owner_id", "referenceId"})
_SERVER_ONLY = frozenset({"remaining", "refillAmount", "refillInterval", "permissions"}) | frozenset(
    {"rateLimitEnabled", "rateLimitMax", "rateLimitTimeWindow"}
)


class ClientApiKeyRequest(Body):
    model_config = ConfigDict(extra="allow")

    def refuse_server_side(self) -> None:
        """
        Refuse properties that a client may not set.

        Raises:
            UnauthorizedSession: An owner was named.
            ServerOnlyProperty: A property that only the server sets.
        """
        sent = {name for name, value in (self.model_extra or {}).items() if value is not None}
        if sent & _OWNERS:
            raise UnauthorizedSession
        if sent & (_SERVER_ONLY | SERVER_SIDE):
            raise ServerOnlyProperty


class ClientCreateApiKeyRequest(ClientApiKeyRequest):
    name: str | None = None
    prefix: str | None = None
    expires_in: Seconds | None = None
    metadata: Metadata | None = None
    organization_id: Identifier | None = None


class ClientUpdateApiKeyRequest(ClientApiKeyRequest):
    key_id: Identifier
    name: str | None = None
    enabled: bool | None = None
    expires_in: Seconds | None = None
    metadata: Metadata | None = None


class ClientDeleteApiKeyRequest(ClientApiKeyRequest):
    key_id: Identifier


def _lifetime(count: int | None, call: RequestContext) -> timedelta | None:
    if count is None:
        return None
    lifetime = seconds(count)
    if lifetime < SHORTEST_LIFE:
        raise ExpiresInTooSmall
    if call.now + lifetime > call.runtime.services.policies.api_keys.farthest_end(call.now):
        raise ExpiresInTooLarge
    return lifetime


def _name(text: str | None) -> str:
    if text is None:
        return DEFAULT_NAME
    if not 1 <= len(text.strip()) <= MAX_NAME:
        raise InvalidNameLength
    return checked_name(text)


class CreationRoute(GuardedRoute):
    """Refuses a caller without a credential with the error that the client expects at this call."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except Unauthorized:
                raise UnauthorizedSession from None

        return handle


creation = Routes("better-auth: API keys", ignores_unknown_fields=True)
creation.router.route_class = CreationRoute


@creation.add("POST", "/api-key/create", access=ACCOUNT)
async def create(body: ClientCreateApiKeyRequest, call: CurrentRequest) -> records.ClientApiKey:
    """Create a key. Only this answer contains the key itself."""
    body.refuse_server_side()
    if body.prefix is not None and body.prefix != call.runtime.services.policies.api_keys.prefix:
        raise InvalidPrefixLength
    new = NewApiKey(
        name=_name(body.name),
        organization_id=body.organization_id,
        expires_in=_lifetime(body.expires_in, call),
        metadata=body.metadata,
    )
    try:
        created = await call.runtime.create_api_keys.create(new, context=call.context)
    except LifetimeTooLong:
        raise ExpiresInTooLarge from None
    return records.ClientApiKey.of(created.api_key, key=created.key)


routes.router.routes.extend(creation.router.routes)


class _Part(TypedDict):
    by: KeyOrder
    descending: bool
    offset: int
    limit: int


async def _listed(call: RequestContext, organization_id: str | None, part: _Part) -> Page[ApiKey]:
    if organization_id is not None:
        with suppress(Forbidden, UnknownOrganization):
            return await call.runtime.organization_keys.list_sorted(
                organization_id, **part, context=call.context
            )
    return await call.runtime.manage_api_keys.list_sorted(
        organization_id=organization_id, **part, context=call.context
    )


@routes.add("GET", "/api-key/list", access=ACCOUNT)
async def list_keys(
    call: CurrentRequest,
    organization_id: OrganizationFilter = None,
    limit: Annotated[int | None, Query(ge=1, le=MAX_BETTER_AUTH_PAGE)] = None,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    sort_by: Annotated[
        Literal["createdAt", "name", "expiresAt", "updatedAt"], Query(alias="sortBy")
    ] = "createdAt",
    sort_direction: Annotated[Literal["asc", "desc"], Query(alias="sortDirection")] = "desc",
) -> records.ClientApiKeyList:
    """
    List the user's keys: 100 if no `limit` is given, at most 500.

    With an organization that the user administers, list every key that acts there.
    """
    part = _Part(
        by=_COLUMNS[sort_by],
        descending=sort_direction == "desc",
        offset=offset,
        limit=min(limit or DEFAULT_PAGE, MAX_PAGE),
    )
    page = await _listed(call, organization_id, part)
    return records.ClientApiKeyList(
        api_keys=[records.ClientApiKey.of(key) async for key in in_turns(page.items)],
        total=page.total,
        limit=limit,
        offset=None if limit is None else offset,
    )


@routes.add("GET", "/api-key/get", access=ACCOUNT)
async def get(call: CurrentRequest, id: Annotated[str, Query(max_length=MAX_ID)]) -> records.ClientApiKey:
    """Return one of the user's keys, or a key of an organization that the user administers."""
    try:
        return records.ClientApiKey.of(await call.runtime.manage_api_keys.get(call.caller, id))
    except NotFound:
        pass
    keys = call.runtime.organization_keys
    async with _known_key():
        organization_id = await keys.find_organization(id)
        return records.ClientApiKey.of(await keys.get(organization_id, id, context=call.context))


@routes.add("POST", "/api-key/update", access=ACCOUNT)
async def update(body: ClientUpdateApiKeyRequest, call: CurrentRequest) -> records.ClientApiKey:
    """Change one of the user's keys, or a key of a service account of an organization that the user administers."""
    body.refuse_server_side()
    given = (body.model_fields_set & ClientUpdateApiKeyRequest.model_fields.keys()) - {"key_id"}
    if not given:
        raise NoValuesToUpdate
    lifetime = _lifetime(body.expires_in, call)
    changes = ApiKeyChanges(
        given=frozenset("expires_at" if name == "expires_in" else name for name in given),
        name=None if body.name is None else _name(body.name),
        enabled=body.enabled,
        expires_at=None if lifetime is None else call.now + lifetime,
        metadata=body.metadata,
    )
    try:
        changed = await call.runtime.manage_api_keys.change(body.key_id, changes, context=call.context)
    except LifetimeTooLong:
        raise ExpiresInTooLarge from None
    except NotFound:
        changed = await _change_of_organization(call, body.key_id, changes)
    return records.ClientApiKey.of(changed)


async def _change_of_organization(call: RequestContext, key_id: str, changes: ApiKeyChanges) -> ApiKey:
    async with _known_key():
        organization_id = await call.runtime.organization_keys.find_organization(key_id)
        return await call.runtime.change_service_account_keys.change(
            organization_id, key_id, changes, context=call.context
        )


@routes.add("POST", "/api-key/delete", access=ACCOUNT)
async def delete(body: ClientDeleteApiKeyRequest, call: CurrentRequest) -> records.Succeeded:
    """Revoke one of the user's keys, or a key of an organization that the user administers."""
    body.refuse_server_side()
    try:
        await call.runtime.manage_api_keys.revoke(body.key_id, context=call.context)
    except NotFound:
        await _revoke_of_organization(call, body.key_id)
    return records.SUCCEEDED


async def _revoke_of_organization(call: RequestContext, key_id: str) -> None:
    keys = call.runtime.organization_keys
    async with _known_key():
        organization_id = await keys.find_organization(key_id)
        await keys.revoke(organization_id, key_id, context=call.context)


@asynccontextmanager
async def _known_key() -> AsyncIterator[None]:
    """
    Refuse a caller without rights on a key as if it were unknown; a caller with rights learns what is missing.

    Raises:
        KeyNotFound: There is no such key, or the caller has no rights on it.
        ExpiresInTooLarge
    """
    try:
        yield
    except LifetimeTooLong:
        raise ExpiresInTooLarge from None
    except (OrganizationTwoFactorRequired, ReauthenticationRequired, InsufficientScope):
        raise
    except (NotFound, Forbidden):
        raise KeyNotFound from None
