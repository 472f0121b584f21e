"""better-auth's calls for organizations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from czo_auth.core.access import ACCOUNT, SERVICE
from czo_auth.core.flows.organizations.changes import NewOrganization, OrganizationChanges
from czo_auth.core.limits import DEFAULT_PAGE, MAX_OFFSET
from czo_auth.rest import records
from czo_auth.rest.better_auth import errors as client_errors
from czo_auth.rest.better_auth.organization_calls import (
    ClientOrganizationRequest,
    OrganizationId,
    OrganizationSlug,
    active_organization,
    chosen_organization,
    named_for,
)
from czo_auth.rest.models import Identifier, Image, Metadata, Name, TolerantBody
from czo_auth.rest.organizations import Slug
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("better-auth: organizations", ignores_unknown_fields=True)


class ClientCreateOrganizationRequest(TolerantBody):
    name: Name
    slug: Slug
    logo: Image | None = None
    metadata: Metadata | None = None
    keep_current_active_organization: bool = False


class ClientCheckSlugRequest(TolerantBody):
    slug: Slug


class ClientOrganizationChanges(TolerantBody):
    name: Name | None = None
    slug: Slug | None = None
    logo: Image | None = None
    metadata: Metadata | None = None


class ClientUpdateOrganizationRequest(TolerantBody):
    data: ClientOrganizationChanges
    organization_id: Identifier | None = None


class ClientActivateOrganizationRequest(TolerantBody):
    organization_id: Identifier | None = None
    organization_slug: Slug | None = None


class ClientPermissionsRequest(TolerantBody):
    permissions: dict[str, list[str]] | None = None
    permission: dict[str, list[str]] | None = None
    organization_id: Identifier | None = None


@routes.add("POST", "/organization/create", access=ACCOUNT)
async def create(body: ClientCreateOrganizationRequest, call: CurrentRequest) -> records.CreatedOrganization:
    """Create an organization and make it the active one, unless the body says otherwise."""
    new = NewOrganization(
        name=body.name,
        slug=body.slug,
        logo=body.logo,
        metadata=body.metadata,
        activates=not body.keep_current_active_organization,
    )
    with named_for("create"):
        created = await call.runtime.manage_organizations.create(new, context=call.context)
    first = records.Member.of(created.member)
    return records.CreatedOrganization.of(created.organization, members=[first])


@routes.add("POST", "/organization/check-slug", access=ACCOUNT)
async def check_slug(body: ClientCheckSlugRequest, call: CurrentRequest) -> records.Done:
    """Check whether a slug is free."""
    if not await call.runtime.manage_organizations.is_slug_free(body.slug):
        raise client_errors.SlugNotAvailable
    return records.DONE


@routes.add("GET", "/organization/list", access=SERVICE)
async def list_organizations(call: CurrentRequest) -> list[records.ClientOrganization]:
    """List the caller's organizations, newest first and at most 100; `GET /organizations` has pages."""
    page = await call.runtime.manage_organizations.list(call.caller, newest_first=True)
    return [records.ClientOrganization.of(organization) for organization, _ in page.items]


@routes.add("GET", "/organization/get-organization", access=SERVICE)
async def get_organization(
    call: CurrentRequest, organization_id: OrganizationId = None, organization_slug: OrganizationSlug = None
) -> records.ClientOrganization | None:
    """Return an organization, by default the active one; `null` if none is active."""
    with named_for("get-organization"):
        chosen = await chosen_organization(call, organization_id, organization_slug)
        if chosen is None:
            return None
        found = await call.runtime.manage_organizations.get(chosen, context=call.context)
    return records.ClientOrganization.of(found.organization)


@routes.add("GET", "/organization/get-full-organization", access=SERVICE)
async def get_full_organization(
    call: CurrentRequest,
    organization_id: OrganizationId = None,
    organization_slug: OrganizationSlug = None,
    members_limit: Annotated[int, Query(alias="membersLimit", ge=0, le=MAX_OFFSET)] = DEFAULT_PAGE,
) -> records.FullOrganization | None:
    """
    Return an organization, by default the active one, with its first members and newest invitations; `null` if none is.

    At most 100 of each: `GET /organization/list-members` and the native lists have pages.
    """
    with named_for("get-full-organization"):
        chosen = await chosen_organization(call, organization_id, organization_slug)
        if chosen is None:
            return None
        found = await call.runtime.manage_organizations.get_full(
            chosen,
            members_limit=min(members_limit or DEFAULT_PAGE, DEFAULT_PAGE),
            context=call.context,
        )
    return records.FullOrganization.of_full(found)


@routes.add("POST", "/organization/set-active", access=ACCOUNT)
async def set_active(
    body: ClientActivateOrganizationRequest, call: CurrentRequest
) -> records.ClientOrganization | None:
    """Set the active organization of this session; `organizationId: null` clears it."""
    organizations = call.runtime.manage_organizations
    if body.organization_id is None and "organization_id" in body.model_fields_set:
        await organizations.deactivate(call.caller)
        return None
    with named_for("set-active"):
        slug = body.organization_slug if body.organization_id is None else None
        chosen = await chosen_organization(call, body.organization_id, slug)
        if chosen is None:
            return None
        activated = await organizations.activate(chosen, context=call.context)
    return records.ClientOrganization.of(activated.organization)


@routes.add("POST", "/organization/update", access=ACCOUNT)
async def update(body: ClientUpdateOrganizationRequest, call: CurrentRequest) -> records.ClientOrganization:
    """Change an organization, by default the active one."""
    data = body.data
    changes = OrganizationChanges(
        given=frozenset(data.model_fields_set),
        name=data.name,
        slug=data.slug,
        logo=data.logo,
        metadata=data.metadata,
    )
    chosen = active_organization(call, body.organization_id, otherwise=client_errors.OrganizationNotFound)
    with named_for("update"):
        changed = await call.runtime.manage_organizations.update(chosen, changes, context=call.context)
    return records.ClientOrganization.of(changed.organization)


@routes.add("POST", "/organization/delete", access=ACCOUNT)
async def delete(body: ClientOrganizationRequest, call: CurrentRequest) -> records.ClientOrganization:
    """Delete an organization."""
    with named_for("delete"):
        deleted = await call.runtime.manage_organizations.delete(body.organization_id, context=call.context)
    return records.ClientOrganization.of(deleted)


@routes.add("POST", "/organization/has-permission", access=ACCOUNT)
async def has_permission(body: ClientPermissionsRequest, call: CurrentRequest) -> records.PermissionVerdict:
    """Check whether the caller's role has all of these permissions; each resource needs at least one action."""
    wanted = body.permissions if body.permissions is not None else body.permission or {}
    names = [f"{resource}:{action}" for resource, actions in wanted.items() for action in actions or [""]]
    with named_for("has-permission"):
        success = await call.runtime.manage_organizations.has_permissions(
            active_organization(call, body.organization_id), names, context=call.context
        )
    return records.PermissionVerdict(error=None, success=success)
