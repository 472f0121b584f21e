"""What better-auth's calls about organizations share: the client's errors, and the organization that a call means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

from fastapi import Query
from pydantic import Field

from czo_auth.asgi.admission import RequestContext
from czo_auth.core import errors
from czo_auth.core.errors import Refusal
from czo_auth.core.limits import MAX_ID, MAX_SENT_ROLES
from czo_auth.rest.better_auth import errors as client_errors
from czo_auth.rest.models import Identifier, TolerantBody
from czo_auth.rest.organizations import Role

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
Roles = Role | Annotated[list[Role], Field(min_length=1, max_length=MAX_SENT_ROLES)]


class ClientOrganizationRequest(TolerantBody):
    organization_id: Identifier


@contextmanager
def named_for(call: str) -> Iterator[None]:
    """Replace refusals by those that the client expects at this call."""
    try:
        yield
    except Refusal as refusal:
        known = {**_EVERYWHERE, **_BY_CALL.get(call, {})}.get(type(refusal))
        if known is None:
            raise
        raise known from None


def active_organization(
    call: RequestContext,
    organization_id: str | None,
    *,
    otherwise: type[Refusal] = client_errors.NoActiveOrganization,
) -> str:
    """Return the named organization, or the active one."""
    chosen = organization_id or call.caller.organization_id
    if chosen is None:
        raise otherwise
    return chosen


async def chosen_organization(
    call: RequestContext, organization_id: str | None, slug: str | None
) -> str | None:
    """Return the organization that a query names (the slug wins over the id), or the active one, or None."""
    if slug:
        found = await call.runtime.manage_organizations.get_by_slug(slug, context=call.context)
        return found.organization.id
    return organization_id or call.caller.organization_id


def one_role(given: str | list[str]) -> str:
    """Read a role. The client may send several, but a member has only one here."""
    if isinstance(given, str):
        return given
    return given[0] if len(given) == 1 else ",".join(given)
