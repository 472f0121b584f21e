"""Administration of accounts and organizations: create, delete, export, end sessions, transfer ownership."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from czo_auth.core.access import ADMINISTRATION
from czo_auth.core.limits import DEFAULT_PAGE, MAX_ACTOR_TYPES
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.administration import RequestWithProof, Text, prove
from czo_auth.rest.answers import Answer, attachment, no_content
from czo_auth.rest.models import Email, Identifier, Name, Reason
from czo_auth.rest.queries import Cursor, Limit
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Administration: accounts")


class NewUserRequest(RequestWithProof):
    email: Email
    name: Name
    actor_types: Annotated[list[Identifier], Field(max_length=MAX_ACTOR_TYPES, default_factory=list)]


class DeleteRequest(RequestWithProof):
    reason: Reason


class OwnerRequest(RequestWithProof):
    user_id: Identifier
    reason: Reason


@routes.add("POST", "/admin/users", access=ADMINISTRATION, status=201)
async def create_user(body: NewUserRequest, call: CurrentRequest) -> records.AdministeredUserAnswer:
    """Create a user without a password and mail them a token for `/reset-password`. Needs recent proof."""
    user = await call.runtime.administer_accounts.create(
        email=body.email,
        name=body.name,
        actor_types=body.actor_types,
        consume=await prove(call, body),
        context=call.context,
    )
    return records.AdministeredUserAnswer.of(user, call.user_fields)


@routes.add("DELETE", "/admin/users/{user_id}", access=ADMINISTRATION, status=204)
async def delete_user(user_id: str, body: DeleteRequest, call: CurrentRequest) -> Response:
    """Delete a user with all data stored about them, and notify them. Needs recent proof."""
    await call.runtime.delete_user.delete(
        user_id, reason=body.reason, consume=await prove(call, body), context=call.context
    )
    return no_content()


@routes.add("GET", "/admin/users/{user_id}/export", access=ADMINISTRATION, get_has_effects=True)
async def export_user(user_id: str, call: CurrentRequest) -> Answer[records.AccountExport]:
    """Export all data stored about a user as a file, and notify the user. Needs recent proof."""
    consume = await call.runtime.administer_accounts.prove(password=None, code=None, context=call.context)
    document = await call.runtime.export_user.export_of(user_id, consume=consume, context=call.context)
    return await attachment(document, f"account-{user_id}.json")


@routes.add("GET", "/admin/users/{user_id}/sessions", access=ADMINISTRATION)
async def list_sessions(
    user_id: str, call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.SessionPage:
    """List a user's live sessions, newest first."""
    page = await call.runtime.administer_accounts.list_page_of_sessions(
        user_id, PageQuery(limit=limit, cursor=cursor), now=call.now
    )
    return records.SessionPage.of(page, own_id=call.caller.session_id, restricted_to=None)


@routes.add("DELETE", "/admin/users/{user_id}/sessions", access=ADMINISTRATION, status=204)
async def end_sessions(user_id: str, call: CurrentRequest) -> Response:
    """End all of a user's sessions, refresh families and pending challenges."""
    await call.runtime.administer_accounts.end_sessions(user_id, context=call.context)
    return no_content()


@routes.add("DELETE", "/admin/sessions/{session_id}", access=ADMINISTRATION, status=204)
async def end_session(session_id: str, call: CurrentRequest) -> Response:
    """End one session of any user."""
    await call.runtime.administer_accounts.end_session(session_id, context=call.context)
    return no_content()


@routes.add("GET", "/admin/organizations", access=ADMINISTRATION)
async def list_organizations(
    call: CurrentRequest, search: Text = None, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.AdministeredOrganizationList:
    """List organizations page by page, ordered by id. `search` matches a part of the name or the slug."""
    page = await call.runtime.administer_accounts.search_organizations(
        text=search or None, page=PageQuery(limit=limit, cursor=cursor)
    )
    return await listed(records.AdministeredOrganizationList.of, page)


@routes.add("POST", "/admin/organizations/{organization_id}/owner", access=ADMINISTRATION)
async def hand_over(organization_id: str, body: OwnerRequest, call: CurrentRequest) -> records.MemberAnswer:
    """Make a member the owner of an organization whose owners are all gone or banned. Needs recent proof."""
    member = await call.runtime.administer_accounts.hand_over(
        organization_id,
        user_id=body.user_id,
        reason=body.reason,
        consume=await prove(call, body),
        context=call.context,
    )
    return records.MemberAnswer.of(member)
