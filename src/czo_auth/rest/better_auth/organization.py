"""better-auth's organization calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from czo_auth.asgi.admission import RequestContext
from czo_auth.core import errors
from czo_auth.core.access import ACCOUNT, SERVICE
from czo_auth.core.errors import Refusal
from czo_auth.core.flows.organizations.changes import NewOrganization, OrganizationChanges
from czo_auth.core.flows.organizations.invitations import NewInvitation
from czo_auth.core.limits import DEFAULT_PAGE, MAX_ID, MAX_MEMBERS, MAX_OFFSET, MAX_PAGE, MAX_SENT_ROLES
from czo_auth.core.organizations.organization import Member
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.better_auth import errors as client_errors
from czo_auth.rest.models import Email, Identifier, Image, Metadata, Name, TolerantBody
from czo_auth.rest.organizations import Role, Slug
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("better-auth: organizations", ignores_unknown_fields=True)

Renaming = dict[type[Refusal], type[Refusal]]
_EVERYWHERE: Final[Renaming] = {
    errors.UnknownOrganization: client_errors.NotOrganizationMember,
    errors.UnknownMember: client_errors.MemberNotFound,
    errors.UnknownInvitation: errors.InvitationNotFound,
    errors.UnknownRole: client_errors.RoleNotFound,
    errors.SlugTaken: client_errors.SlugNotAvailable,
    errors.AlreadyMember: client_errors.MemberExists,
    errors.AlreadyInvited: client_errors.InvitationExists,
    errors.LastOwner: client_errors.OnlyOwnerCannotLeave,
    errors.EmailNotVerified: client_errors.InvitationsNeedVerifiedEmail,
}
_NOT_A_MEMBER: Final[Renaming] = {errors.UnknownOrganization: client_errors.MemberNotFound}
_NOT_HERE: Final[Renaming] = {
    errors.UnknownOrganization: client_errors.NotMemberHere,
    errors.UnknownMember: client_errors.NotMemberHere,
}
_BY_CALL: Final[dict[str, Renaming]] = {
    "create": {errors.SlugTaken: client_errors.OrganizationAlreadyExists},
    "update": {errors.Forbidden: client_errors.CannotUpdateOrganization},
    "delete": {errors.Forbidden: client_errors.CannotDeleteOrganization},
    "list-members": _NOT_HERE,
    "get-active-member-role": _NOT_HERE,
    "remove-member": {**_NOT_A_MEMBER, errors.Forbidden: client_errors.CannotRemoveMember},
    "update-member-role": {
        **_NOT_A_MEMBER,
        errors.Forbidden: client_errors.CannotUpdateMember,
        errors.RoleAboveOwn: client_errors.CannotUpdateMember,
        errors.LastOwner: client_errors.OwnerNeeded,
    },
    "leave": _NOT_A_MEMBER,
    "invite-member": {
        **_NOT_A_MEMBER,
        errors.Forbidden: client_errors.CannotInvite,
        errors.RoleAboveOwn: client_errors.CannotInviteWithRole,
    },
    "cancel-invitation": {errors.Forbidden: client_errors.CannotCancelInvitation},
    "list-invitations": {errors.Forbidden: client_errors.CannotListInvitations},
}
"""The client's errors for refusals of the core; refusals that are not listed keep their own code."""

OrganizationId = Annotated[str | None, Query(alias="organizationId", max_length=MAX_ID)]
OrganizationSlug = Annotated[str | None, Query(alias="organizationSlug", max_length=MAX_ID)]
Count = Annotated[int | None, Query(ge=0, le=MAX_OFFSET)]
Roles = Role | Annotated[list[Role], Field(min_length=1, max_length=MAX_SENT_ROLES)]


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


class ClientOrganizationRequest(TolerantBody):
    organization_id: Identifier


class ClientActivateOrganizationRequest(TolerantBody):
    organization_id: Identifier | None = None
    organization_slug: Slug | None = None


class ClientRemoveMemberRequest(TolerantBody):
    member_id_or_email: Email
    organization_id: Identifier | None = None


class ClientChangeRoleRequest(TolerantBody):
    member_id: Identifier
    role: Roles
    organization_id: Identifier | None = None


class ClientCreateInvitationRequest(TolerantBody):
    email: Email
    role: Roles
    organization_id: Identifier | None = None
    resend: bool = False


class ClientInvitationRequest(TolerantBody):
    invitation_id: Identifier


class ClientPermissionsRequest(TolerantBody):
    permissions: dict[str, list[str]] | None = None
    permission: dict[str, list[str]] | None = None
    organization_id: Identifier | None = None


@contextmanager
def _named_for(call: str) -> Iterator[None]:
    """Replace refusals by those that the client expects at this call."""
    try:
        yield
    except Refusal as refusal:
        known = {**_EVERYWHERE, **_BY_CALL.get(call, {})}.get(type(refusal))
        if known is None:
            raise
        raise known from None


def _active(
    call: RequestContext,
    organization_id: str | None,
    *,
    otherwise: type[Refusal] = client_errors.NoActiveOrganization,
) -> str:
    """Return the named organization, or the active one."""
    chosen = organization_id or call.principal.organization_id
    if chosen is None:
        raise otherwise
    return chosen


async def _chosen(call: RequestContext, organization_id: str | None, slug: str | None) -> str | None:
    """Return the organization that a query names (the slug wins over the id), or the active one, or None."""
    if slug:
        found = await call.runtime.manage_organizations.get_by_slug(slug, context=call.context)
        return found.organization.id
    return organization_id or call.principal.organization_id


def _one_role(given: str | list[str]) -> str:
    """Read a role. The client may send several, but a member has only one here."""
    if isinstance(given, str):
        return given
    return given[0] if len(given) == 1 else ",".join(given)


# --- organizations ---------------------------------------------------------------------------------------------------
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
    with _named_for("create"):
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
    page = await call.runtime.manage_organizations.list(call.principal, newest_first=True)
    return [records.ClientOrganization.of(organization) for organization, _ in page.items]


@routes.add("GET", "/organization/get-organization", access=SERVICE)
async def get_organization(
    call: CurrentRequest, organization_id: OrganizationId = None, organization_slug: OrganizationSlug = None
) -> records.ClientOrganization | None:
    """Return an organization, by default the active one; `null` if none is active."""
    with _named_for("get-organization"):
        chosen = await _chosen(call, organization_id, organization_slug)
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
    with _named_for("get-full-organization"):
        chosen = await _chosen(call, organization_id, organization_slug)
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
        await organizations.deactivate(call.principal)
        return None
    with _named_for("set-active"):
        slug = body.organization_slug if body.organization_id is None else None
        chosen = await _chosen(call, body.organization_id, slug)
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
    chosen = _active(call, body.organization_id, otherwise=client_errors.OrganizationNotFound)
    with _named_for("update"):
        changed = await call.runtime.manage_organizations.update(chosen, changes, context=call.context)
    return records.ClientOrganization.of(changed.organization)


@routes.add("POST", "/organization/delete", access=ACCOUNT)
async def delete(body: ClientOrganizationRequest, call: CurrentRequest) -> records.ClientOrganization:
    """Delete an organization."""
    with _named_for("delete"):
        deleted = await call.runtime.manage_organizations.delete(body.organization_id, context=call.context)
    return records.ClientOrganization.of(deleted)


@routes.add("POST", "/organization/has-permission", access=ACCOUNT)
async def has_permission(body: ClientPermissionsRequest, call: CurrentRequest) -> records.PermissionVerdict:
    """Check whether the caller's role has all of these permissions; each resource needs at least one action."""
    wanted = body.permissions if body.permissions is not None else body.permission or {}
    names = [f"{resource}:{action}" for resource, actions in wanted.items() for action in actions or [""]]
    with _named_for("has-permission"):
        success = await call.runtime.manage_organizations.has_permissions(
            _active(call, body.organization_id), names, context=call.context
        )
    return records.PermissionVerdict(error=None, success=success)


# --- members ---------------------------------------------------------------------------------------------------------
@routes.add("GET", "/organization/list-members", access=SERVICE)
async def list_members(
    call: CurrentRequest,
    organization_id: OrganizationId = None,
    organization_slug: OrganizationSlug = None,
    limit: Count = None,
    offset: Count = None,
    sort_by: Annotated[Literal["createdAt", "role", "userId", "id"], Query(alias="sortBy")] = "createdAt",
    sort_direction: Annotated[Literal["asc", "desc"], Query(alias="sortDirection")] = "asc",
    filter_field: Annotated[Literal["role", "userId", "id"] | None, Query(alias="filterField")] = None,
    filter_value: Annotated[str, Query(alias="filterValue", max_length=MAX_ID)] = "",
    filter_operator: Annotated[Literal["eq", "ne"], Query(alias="filterOperator")] = "eq",
) -> records.ClientMemberList:
    """List the members of an organization, by default the active one."""
    with _named_for("list-members"):
        chosen = _active(call, await _chosen(call, organization_id, organization_slug))
        page = await call.runtime.manage_members.list_members(
            chosen, PageQuery(limit=MAX_MEMBERS), context=call.context
        )
        members = list(page.items)
    if filter_field is not None:
        equal = filter_operator == "eq"
        members = [each for each in members if (_text_of(each, filter_field) == filter_value) == equal]
    # The members come oldest first, and the sort is stable.
    if sort_by != "createdAt":
        members.sort(key=lambda each: _text_of(each, sort_by))
    if sort_direction == "desc":
        members.reverse()
    start = offset or 0
    shown = members[start : start + min(limit or DEFAULT_PAGE, MAX_PAGE)]
    return records.ClientMemberList(members=[records.Member.of(each) for each in shown], total=len(members))


def _text_of(member: Member, field: str) -> str:
    return {"role": member.role, "userId": member.user_id, "id": member.id}[field]


@routes.add("GET", "/organization/get-active-member", access=SERVICE)
async def get_active_member(call: CurrentRequest) -> records.Member:
    """Return the caller's membership in the active organization."""
    with _named_for("get-active-member"):
        found = await call.runtime.manage_organizations.get_membership(
            _active(call, None), context=call.context
        )
    return records.Member.of(found.member)


@routes.add("GET", "/organization/get-active-member-role", access=SERVICE)
async def get_active_member_role(
    call: CurrentRequest,
    user_id: Annotated[str | None, Query(alias="userId", max_length=MAX_ID)] = None,
    organization_id: OrganizationId = None,
    organization_slug: OrganizationSlug = None,
) -> records.MemberRole:
    """Return the role of a member, by default the caller's in the active organization."""
    with _named_for("get-active-member-role"):
        chosen = _active(call, await _chosen(call, organization_id, organization_slug))
        found = await call.runtime.manage_members.get_member(
            chosen, user_id or call.principal.require_user(), context=call.context
        )
    return records.MemberRole(role=found.role)


@routes.add("POST", "/organization/update-member-role", access=ACCOUNT)
async def update_member_role(body: ClientChangeRoleRequest, call: CurrentRequest) -> records.Member:
    """Change the role of a member."""
    chosen = _active(call, body.organization_id)
    with _named_for("update-member-role"):
        changed = await call.runtime.manage_members.change_role(
            chosen, body.member_id, named_by="member_id", role=_one_role(body.role), context=call.context
        )
    return records.Member.of(changed)


@routes.add("POST", "/organization/remove-member", access=ACCOUNT)
async def remove_member(body: ClientRemoveMemberRequest, call: CurrentRequest) -> records.RemovedMember:
    """Remove a member, by membership id or email address."""
    chosen = _active(call, body.organization_id)
    with _named_for("remove-member"):
        removed = await call.runtime.manage_members.remove_member(
            chosen,
            body.member_id_or_email,
            named_by="email" if "@" in body.member_id_or_email else "member_id",
            context=call.context,
        )
    return records.RemovedMember(member=records.Member.of(removed))


@routes.add("POST", "/organization/leave", access=ACCOUNT)
async def leave(body: ClientOrganizationRequest, call: CurrentRequest) -> records.Member:
    """Leave an organization."""
    with _named_for("leave"):
        left = await call.runtime.manage_members.leave(body.organization_id, context=call.context)
    return records.Member.of(left)


# --- invitations -----------------------------------------------------------------------------------------------------
@routes.add("POST", "/organization/invite-member", access=ACCOUNT)
async def invite_member(body: ClientCreateInvitationRequest, call: CurrentRequest) -> records.Invitation:
    """Invite an email address. Only the mail contains the token."""
    chosen = _active(call, body.organization_id, otherwise=client_errors.OrganizationNotFound)
    with _named_for("invite-member"):
        sent = await call.runtime.invitations.invite(
            chosen,
            NewInvitation(email=body.email, role=_one_role(body.role), resends=body.resend),
            context=call.context,
        )
    return records.Invitation.of(sent.invitation)


@routes.add("GET", "/organization/get-invitation", access=ACCOUNT)
async def get_invitation(
    call: CurrentRequest, id: Annotated[str, Query(max_length=MAX_ID)]
) -> records.ReceivedInvitation:
    """Return an invitation that was sent to the caller's confirmed address."""
    with _named_for("get-invitation"):
        received = await call.runtime.received_invitations.get(id, context=call.context)
    return records.ReceivedInvitation.of_received(received)


@routes.add("GET", "/organization/list-invitations", access=ACCOUNT)
async def list_invitations(
    call: CurrentRequest, organization_id: OrganizationId = None
) -> list[records.Invitation]:
    """List the newest invitations of an organization, by default the active one; at most 100."""
    chosen = _active(call, organization_id)
    with _named_for("list-invitations"):
        page = await call.runtime.invitations.list(chosen, context=call.context)
    return [records.Invitation.of(each) for each in page.items]


@routes.add("GET", "/organization/list-user-invitations", access=ACCOUNT)
async def list_user_invitations(call: CurrentRequest) -> list[records.ReceivedInvitation]:
    """List the pending invitations to the caller's confirmed address."""
    with _named_for("list-user-invitations"):
        received = await call.runtime.received_invitations.list_for(context=call.context)
    return [records.ReceivedInvitation.of_received(each) for each in received]


@routes.add("POST", "/organization/accept-invitation", access=ACCOUNT)
async def accept_invitation(
    body: ClientInvitationRequest, call: CurrentRequest
) -> records.AcceptedInvitation:
    """Accept an invitation to the caller's confirmed address; its organization becomes the active one."""
    with _named_for("accept-invitation"):
        accepted = await call.runtime.received_invitations.accept_by_id(
            body.invitation_id, context=call.context
        )
    return records.AcceptedInvitation.of(accepted)


@routes.add("POST", "/organization/reject-invitation", access=ACCOUNT)
async def reject_invitation(
    body: ClientInvitationRequest, call: CurrentRequest
) -> records.RejectedInvitation:
    """Reject an invitation."""
    rejected = await call.runtime.received_invitations.reject(body.invitation_id, context=call.context)
    return records.RejectedInvitation.of(rejected)


@routes.add("POST", "/organization/cancel-invitation", access=ACCOUNT)
async def cancel_invitation(body: ClientInvitationRequest, call: CurrentRequest) -> records.Invitation:
    """Cancel a pending invitation."""
    with _named_for("cancel-invitation"):
        canceled = await call.runtime.invitations.cancel(body.invitation_id, context=call.context)
    return records.Invitation.of(canceled)
