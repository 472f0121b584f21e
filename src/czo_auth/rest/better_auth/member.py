"""better-auth's calls for members of organizations."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

from czo_auth.core.access import ACCOUNT, SERVICE
from czo_auth.core.limits import DEFAULT_PAGE, MAX_ID, MAX_MEMBERS, MAX_OFFSET, MAX_PAGE
from czo_auth.core.organizations.organization import Member
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.better_auth.organization_calls import (
    ClientOrganizationRequest,
    OrganizationId,
    OrganizationSlug,
    Roles,
    active_organization,
    chosen_organization,
    named_for,
    one_role,
)
from czo_auth.rest.models import Email, Identifier, TolerantBody
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("better-auth: organizations", ignores_unknown_fields=True)

Count = Annotated[int | None, Query(ge=0, le=MAX_OFFSET)]


class ClientRemoveMemberRequest(TolerantBody):
    member_id_or_email: Email
    organization_id: Identifier | None = None


class ClientChangeRoleRequest(TolerantBody):
    member_id: Identifier
    role: Roles
    organization_id: Identifier | None = None


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
    with named_for("list-members"):
        chosen = active_organization(
            call, await chosen_organization(call, organization_id, organization_slug)
        )
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
    with named_for("get-active-member"):
        found = await call.runtime.manage_organizations.get_membership(
            active_organization(call, None), context=call.context
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
    with named_for("get-active-member-role"):
        chosen = active_organization(
            call, await chosen_organization(call, organization_id, organization_slug)
        )
        found = await call.runtime.manage_members.get_member(
            chosen, user_id or call.caller.require_user(), context=call.context
        )
    return records.MemberRole(role=found.role)


@routes.add("POST", "/organization/update-member-role", access=ACCOUNT)
async def update_member_role(body: ClientChangeRoleRequest, call: CurrentRequest) -> records.Member:
    """Change the role of a member."""
    chosen = active_organization(call, body.organization_id)
    with named_for("update-member-role"):
        changed = await call.runtime.manage_members.change_role(
            chosen, body.member_id, named_by="member_id", role=one_role(body.role), context=call.context
        )
    return records.Member.of(changed)


@routes.add("POST", "/organization/remove-member", access=ACCOUNT)
async def remove_member(body: ClientRemoveMemberRequest, call: CurrentRequest) -> records.RemovedMember:
    """Remove a member, by membership id or email address."""
    chosen = active_organization(call, body.organization_id)
    with named_for("remove-member"):
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
    with named_for("leave"):
        left = await call.runtime.manage_members.leave(body.organization_id, context=call.context)
    return records.Member.of(left)
