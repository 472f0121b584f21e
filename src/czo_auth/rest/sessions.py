"""Sessions and tokens: list, revoke, refresh, and the keys that verify access tokens."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.asgi.caching import JWKS_CACHE_CONTROL
from czo_auth.core.access import ACCOUNT, PUBLIC
from czo_auth.core.limits import MAX_SESSIONS
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.answers import Answer, no_content
from czo_auth.rest.models import Body, Code, Password, Token, TolerantBody
from czo_auth.rest.queries import Cursor, SessionLimit
from czo_auth.rest.routing import CurrentRequest, Routes

routes = Routes("Sessions")


class ReauthenticateRequest(Body):
    password: Password | None = None
    code: Code | None = None


class RefreshRequest(TolerantBody):
    refresh_token: Token


@routes.add("GET", "/sessions", access=ACCOUNT)
async def list_sessions(
    call: CurrentRequest, limit: SessionLimit = MAX_SESSIONS, cursor: Cursor = None
) -> records.SessionPage:
    """List the user's live sessions, newest first."""
    principal = call.caller
    sessions = await call.runtime.manage_sessions.list_page(
        PageQuery(limit=limit, cursor=cursor), context=call.context
    )
    return records.SessionPage.of(
        sessions, own_id=principal.session_id, restricted_to=principal.restricted_to
    )


@routes.add("DELETE", "/sessions/{session_id}", access=ACCOUNT, status=204)
async def revoke_session(session_id: str, call: CurrentRequest) -> Response:
    """End one session with its refresh family."""
    await call.runtime.manage_sessions.revoke(session_id, context=call.context)
    return no_content()


@routes.add("DELETE", "/sessions", access=ACCOUNT, status=204)
async def revoke_other_sessions(call: CurrentRequest) -> Response:
    """End all other sessions, their refresh families and all pending challenges."""
    await call.runtime.manage_sessions.revoke_others(context=call.context)
    return no_content()


@routes.add("POST", "/reauthenticate", access=ACCOUNT)
async def reauthenticate(body: ReauthenticateRequest, call: CurrentRequest) -> records.SessionAnswer:
    """Prove the password, the second factor or both again. The session stays the same, with newer times of proof."""
    session = await call.runtime.reauthentication.renew(
        password=body.password, code=body.code, context=call.context
    )
    return records.SessionAnswer.of(session, restricted_to=call.caller.restricted_to)


@routes.add("POST", "/token/refresh", access=PUBLIC, oauth=True)
async def refresh(body: RefreshRequest, call: CurrentRequest) -> records.RefreshedTokens:
    """Exchange a refresh token for its successor and a new access token."""
    refreshed = await call.runtime.refresh.refresh(body.refresh_token, context=call.context)
    lifetime = call.runtime.services.access_tokens.lifetime
    return records.RefreshedTokens.of(refreshed, lifetime=lifetime)


@routes.add("GET", "/jwks", access=PUBLIC)
async def jwks(call: CurrentRequest) -> Answer[records.JsonWebKeySet]:
    """Return the public keys of access tokens (RFC 7517)."""
    keys = await call.runtime.signing_keys.published(now=call.now)
    response = Answer(records.JsonWebKeySet.model_validate(keys))
    response.headers["cache-control"] = JWKS_CACHE_CONTROL
    return response
