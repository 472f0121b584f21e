"""Invitations to organizations."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.access import ACCOUNT
from czo_auth.core.flows.organizations.invitations import NewInvitation
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.answers import no_content
from czo_auth.rest.idempotency import Idempotent
from czo_auth.rest.models import Body, Email, Token
from czo_auth.rest.organizations import Role
from czo_auth.rest.queries import Cursor, Limit
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Invitations")


class CreateInvitationRequest(Body):
    email: Email
    role: Role
    resend: bool = False


class AcceptInvitationRequest(Body):
    token: Token


async def _may_still_invite(call: RequestContext, request: Request, answer: Any) -> None:
    role = answer["invitation"]["role"]
    await call.runtime.invitations.check_inviter(
        request.path_params["organization_id"], role, context=call.context
    )


@routes.add(
    "POST",
    "/organizations/{organization_id}/invitations",
    access=ACCOUNT,
    status=201,
    idempotent=Idempotent(recheck=_may_still_invite),
)
async def invite(
    organization_id: str, body: CreateInvitationRequest, call: CurrentRequest
) -> records.SentInvitation:
    """Invite an email address. Only this answer and the mail contain the token."""
    sent = await call.runtime.invitations.invite(
        organization_id,
        NewInvitation(email=body.email, role=body.role, resends=body.resend),
        context=call.context,
    )
    return records.SentInvitation.of(sent)


@routes.add("GET", "/organizations/{organization_id}/invitations", access=ACCOUNT)
async def list_invitations(
    organization_id: str, call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.InvitationList:
    """List the invitations of an organization, newest first, including answered ones."""
    page = await call.runtime.invitations.list(
        organization_id, PageQuery(limit=limit, cursor=cursor), context=call.context
    )
    return await listed(records.InvitationList.of, page)


@routes.add(
    "DELETE", "/organizations/{organization_id}/invitations/{invitation_id}", access=ACCOUNT, status=204
)
async def cancel(organization_id: str, invitation_id: str, call: CurrentRequest) -> Response:
    """Cancel a pending invitation."""
    await call.runtime.invitations.cancel(
        invitation_id, organization_id=organization_id, context=call.context
    )
    return no_content()


@routes.add("POST", "/invitations/accept", access=ACCOUNT)
async def accept(body: AcceptInvitationRequest, call: CurrentRequest) -> records.JoinedOrganization:
    """Accept an invitation with the token from the mail, as the user to whom it was sent."""
    accepted = await call.runtime.received_invitations.accept_by_token(body.token, context=call.context)
    return records.JoinedOrganization.of(accepted.membership)
