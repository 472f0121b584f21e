"""Administration routes. All of them need a second factor that was proved in the session."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.access import ADMINISTRATION
from czo_auth.core.events.types import AuditFilter, Outcome
from czo_auth.core.flows.administration.search_api_keys import search_api_keys
from czo_auth.core.flows.two_factor.proofs import ConsumeProof
from czo_auth.core.limits import DEFAULT_PAGE, MAX_ACTOR_TYPES, MAX_AUDIT_NUMBER, MAX_ID, MAX_SEARCH
from czo_auth.core.paging import Page, PageQuery
from czo_auth.core.users.status import UserStatus
from czo_auth.core.users.store import UserFilter
from czo_auth.rest import records
from czo_auth.rest.answers import Answer, no_content
from czo_auth.rest.models import Body, Code, Identifier, Moment, Password, Reason
from czo_auth.rest.queries import Cursor, Limit, OrganizationFilter, UnusedSince
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("Administration")
Text = Annotated[str | None, Query(max_length=MAX_SEARCH)]


class ReasonRequest(Body):
    reason: Reason


class RequestWithProof(Body):
    """The body of an operation that needs recent proof, which can be sent along."""

    password: Password | None = None
    code: Code | None = None


class ResetRequest(RequestWithProof):
    reason: Reason


class ActorTypesRequest(RequestWithProof):
    add: Annotated[list[Identifier], Field(max_length=MAX_ACTOR_TYPES, default_factory=list)]
    remove: Annotated[list[Identifier], Field(max_length=MAX_ACTOR_TYPES, default_factory=list)]


async def prove(call: RequestContext, body: RequestWithProof) -> ConsumeProof:
    """Require recent proof of the administrator. The caller consumes the result in the transaction of the operation."""
    return await call.runtime.administer_accounts.prove(
        password=body.password, code=body.code, context=call.context
    )


@routes.add("GET", "/admin/users", access=ADMINISTRATION)
async def list_users(
    call: CurrentRequest,
    search: Text = None,
    status: UserStatus | None = None,
    actor_type: Annotated[str | None, Query(alias="actorType", max_length=MAX_ID)] = None,
    two_factor: Annotated[bool | None, Query(alias="twoFactorEnabled")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.AdministeredUserList:
    """List users page by page, ordered by id. Only those that match every given parameter."""
    matching = UserFilter(text=search or None, status=status, actor_type=actor_type, two_factor=two_factor)
    page = await call.runtime.administration.search(matching, page=PageQuery(limit=limit, cursor=cursor))
    return await listed(partial(records.AdministeredUserList.of, fields=call.user_fields), page)


@routes.add("GET", "/admin/users/{user_id}", access=ADMINISTRATION)
async def get_user(user_id: str, call: CurrentRequest) -> records.AdministeredUserAnswer:
    """Return one user."""
    user = await call.runtime.administration.get(user_id)
    return records.AdministeredUserAnswer.of(user, call.user_fields)


@routes.add("POST", "/admin/users/{user_id}/ban", access=ADMINISTRATION)
async def ban(user_id: str, body: ReasonRequest, call: CurrentRequest) -> records.AdministeredUserAnswer:
    """Ban a user. All their credentials end immediately."""
    user = await call.runtime.administration.ban(user_id, reason=body.reason, context=call.context)
    return records.AdministeredUserAnswer.of(user, call.user_fields)


@routes.add("POST", "/admin/users/{user_id}/unban", access=ADMINISTRATION)
async def unban(user_id: str, call: CurrentRequest) -> records.AdministeredUserAnswer:
    """Lift a ban. Revoked keys and sessions are not restored."""
    user = await call.runtime.administration.unban(user_id, context=call.context)
    return records.AdministeredUserAnswer.of(user, call.user_fields)


@routes.add("POST", "/admin/users/{user_id}/actor-types", access=ADMINISTRATION)
async def change_actor_types(
    user_id: str, body: ActorTypesRequest, call: CurrentRequest
) -> records.AdministeredUserAnswer:
    """Add and remove actor types of a user, effective at the next request. Needs recent proof."""
    user = await call.runtime.administration.change_actor_types(
        user_id, add=body.add, remove=body.remove, consume=await prove(call, body), context=call.context
    )
    return records.AdministeredUserAnswer.of(user, call.user_fields)


@routes.add("DELETE", "/admin/users/{user_id}/two-factor", access=ADMINISTRATION, status=204)
async def reset_two_factor(user_id: str, body: ResetRequest, call: CurrentRequest) -> Response:
    """
    Remove the second factors of a user who lost all of them, end their sessions and notify them. If the deployment has
    a waiting time, the answer is 202 with the pending reset. Needs recent proof.
    """
    waits = await call.runtime.recovery.ask(
        user_id, reason=body.reason, consume=await prove(call, body), context=call.context
    )
    if waits is None:
        return no_content()
    return Answer(records.AdministeredResetAnswer.of(waits), status_code=202)


@routes.add("DELETE", "/admin/users/{user_id}/two-factor/reset", access=ADMINISTRATION, status=204)
async def cancel_reset(user_id: str, call: CurrentRequest) -> Response:
    """Cancel the pending reset of a user, regardless of who requested it."""
    await call.runtime.recovery.cancel(user_id, context=call.context)
    return no_content()


@routes.add("GET", "/admin/two-factor-resets", access=ADMINISTRATION)
async def list_resets(
    call: CurrentRequest, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> records.AdministeredResetList:
    """List the pending resets, the next due first."""
    page = await call.runtime.recovery.list_waiting(PageQuery(limit=limit, cursor=cursor))
    return await listed(records.AdministeredResetList.of, page)


@routes.add("GET", "/admin/users/{user_id}/api-keys", access=ADMINISTRATION)
async def list_api_keys(
    user_id: str,
    call: CurrentRequest,
    organization_id: OrganizationFilter = None,
    unused_since: UnusedSince = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.ApiKeyList:
    """List a user's API keys without their secrets, newest first; `unusedSince` selects those not used since then."""
    page = await call.runtime.administration.list_api_keys(
        user_id,
        organization_id=organization_id,
        unused_since=unused_since,
        page=PageQuery(limit=limit, cursor=cursor),
        now=call.now,
    )
    return await listed(records.ApiKeyList.of, page)


@routes.add("GET", "/admin/api-keys", access=ADMINISTRATION)
async def find_api_keys(
    call: CurrentRequest,
    search: Text = None,
    organization_id: OrganizationFilter = None,
    unused_since: UnusedSince = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.OwnedApiKeyList:
    """
    List the API keys of all users, newest first. `search` matches the start of a key, or the address or name of its
    owner; `unusedSince` selects those that were neither used nor created since then.
    """
    page = await search_api_keys(
        call.runtime.services,
        text=search or None,
        organization_id=organization_id,
        unused_since=unused_since,
        page=PageQuery(limit=limit, cursor=cursor),
        now=call.now,
    )
    return await listed(records.OwnedApiKeyList.of, page)


@routes.add("DELETE", "/admin/api-keys/{key_id}", access=ADMINISTRATION, status=204)
async def revoke_api_key(key_id: str, call: CurrentRequest) -> Response:
    """Revoke an API key of any owner."""
    await call.runtime.administration.revoke_api_key(key_id, context=call.context)
    return no_content()


@routes.add("GET", "/admin/audit", access=ADMINISTRATION)
async def audit(
    call: CurrentRequest,
    user_id: Annotated[str | None, Query(alias="userId", max_length=MAX_ID)] = None,
    action: Annotated[str | None, Query(max_length=MAX_ID)] = None,
    outcome: Outcome | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Annotated[int | None, Query(ge=1, le=MAX_AUDIT_NUMBER)] = None,
) -> records.AuditRecordList:
    """List audit records, newest first: those at `since` or later, and before `until`."""
    matching = AuditFilter(user_id=user_id, action=action, outcome=outcome, since=since, until=until)
    # One record more than the page has shows whether there is a next page.
    found, total = await call.runtime.administration.audit(matching, before=cursor, limit=limit + 1)
    next_cursor = found[limit - 1].sequence if len(found) > limit else None
    shown = Page(items=found[:limit], total=total.rows)
    return await listed(partial(records.AuditRecordList.of, next_cursor=next_cursor), shown)
