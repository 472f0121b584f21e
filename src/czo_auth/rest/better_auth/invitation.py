"""better-auth's calls for invitations to organizations."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from czo_auth.core.access import ACCOUNT
from czo_auth.core.flows.organizations.invitations import NewInvitation
from czo_auth.core.limits import MAX_ID
from czo_auth.rest import records
from czo_auth.rest.better_auth import errors as client_errors
from czo_auth.rest.better_auth.organization_calls import (
    OrganizationId,
    Roles,
    active_organization,
    named_for,
    one_role,
)
from czo_auth.rest.models import Email, Identifier, TolerantBody
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("better-auth: organizations", ignores_unknown_fields=True)


class ClientCreateInvitationRequest(TolerantBody):
    email: Email
    role: Roles
    organization_id: Identifier | None = None
    resend: bool = False


class ClientInvitationRequest(TolerantBody):
    invitation_id: Identifier


@routes.add("POST", "/organization/invite-member", access=ACCOUNT)
async def invite_member(body: ClientCreateInvitationRequest, call: CurrentRequest) -> records.Invitation:
    """Invite an email address. Only the mail contains the token."""
    chosen = active_organization(call, body.organization_id, otherwise=client_errors.OrganizationNotFound)
    with named_for("invite-member"):
        sent = await call.runtime.invitations.invite(
            chosen,
            NewInvitation(email=body.email, role=one_role(body.role), resends=body.resend),
            context=call.context,
        )
    return records.Invitation.of(sent.invitation)


@routes.add("GET", "/organization/get-invitation", access=ACCOUNT)
async def get_invitation(
    call: CurrentRequest, id: Annotated[str, Query(max_length=MAX_ID)]
) -> records.ReceivedInvitation:
    """Return an invitation that was sent to the caller's confirmed address."""
    with named_for("get-invitation"):
        received = await call.runtime.received_invitations.get(id, context=call.context)
    return records.ReceivedInvitation.of_received(received)


@routes.add("GET", "/organization/list-invitations", access=ACCOUNT)
async def list_invitations(
    call: CurrentRequest, organization_id: OrganizationId = None
) -> list[records.Invitation]:
    """List the newest invitations of an organization, by default the active one; at most 100."""
    chosen = active_organization(call, organization_id)
    with named_for("list-invitations"):
        page = await call.runtime.invitations.list(chosen, context=call.context)
    return [records.Invitation.of(each) for each in page.items]


@routes.add("GET", "/organization/list-user-invitations", access=ACCOUNT)
async def list_user_invitations(call: CurrentRequest) -> list[records.ReceivedInvitation]:
    """List the pending invitations to the caller's confirmed address."""
    with named_for("list-user-invitations"):
        received = await call.runtime.received_invitations.list_for(context=call.context)
    return [records.ReceivedInvitation.of_received(each) for each in received]


@routes.add("POST", "/organization/accept-invitation", access=ACCOUNT)
async def accept_invitation(
    body: ClientInvitationRequest, call: CurrentRequest
) -> records.AcceptedInvitation:
    """Accept an invitation to the caller's confirmed address; its organization becomes the active one."""
    with named_for("accept-invitation"):
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
    with named_for("cancel-invitation"):
        canceled = await call.runtime.invitations.cancel(body.invitation_id, context=call.context)
    return records.Invitation.of(canceled)
