"""Answers that hand out sessions: body, cookies and the ``set-auth-token`` header, the same on every route."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from starlette.responses import JSONResponse, Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.asgi.session_cookies import clear_session_cookies, set_challenge_cookie, set_session_cookies
from czo_auth.asgi.timestamps import format_timestamp
from czo_auth.core.flows.sessions.issue import SignedIn
from czo_auth.core.flows.sign_in.password import SecondFactorRequired
from czo_auth.core.paging import Page
from czo_auth.core.principal import TWO_FACTOR_SETUP
from czo_auth.rest import records
from czo_auth.rest.records import Json

T = TypeVar("T")
AUTH_TOKEN_HEADER = "set-auth-token"  # noqa: S105 - the name of a header


def page_response(name: str, page: Page[T], shape: Callable[[T], Json]) -> Response:
    """Answer a page of a list."""
    return JSONResponse(
        {name: [shape(item) for item in page.items], "total": page.total, "nextCursor": page.next_cursor}
    )


def no_content() -> Response:
    """Answer 204."""
    return Response(status_code=204)


def attachment(document: Json, filename: str) -> Response:
    """Answer with a document that a browser saves; *filename* is ASCII."""
    return JSONResponse(document, headers={"content-disposition": f'attachment; filename="{filename}"'})


def session_body(call: RequestContext, outcome: SignedIn) -> Json:
    """Shape the body of a successful sign-in or renewal, docs/reference/rest.md."""
    issued = outcome.issued
    lifetime = call.runtime.services.access_tokens.lifetime
    return {
        "requires2FA": False,
        "requires2FASetup": outcome.restricted,
        "user": records.User.of(outcome.user, call.user_fields).dump(),
        "session": records.Session.of(
            issued.session, restricted_to=TWO_FACTOR_SETUP if outcome.restricted else None
        ).dump(),
        "accessToken": outcome.access_token,
        "refreshToken": issued.refresh_token,
        "expiresIn": int(lifetime.total_seconds()),
        "tokenType": "Bearer",
        "token": issued.session.id,
        "redirect": False,
    }


def set_session(call: RequestContext, response: Response, outcome: SignedIn) -> Response:
    """Add the session's secrets to *response*: the cookie and the header for Bearer front ends."""
    response.headers[AUTH_TOKEN_HEADER] = outcome.issued.session_token
    set_session_cookies(call, response, outcome)
    return response


def entered(
    call: RequestContext, outcome: SignedIn | SecondFactorRequired, *, verified: bool = False
) -> Response:
    """Answer a sign-in: a session, or the question for the second factor."""
    if isinstance(outcome, SecondFactorRequired):
        return _challenge(call, outcome)
    body = session_body(call, outcome)
    if verified:
        body["verified"] = True
    return set_session(call, JSONResponse(body), outcome)


def _challenge(call: RequestContext, outcome: SecondFactorRequired) -> Response:
    response = JSONResponse(
        {
            "requires2FA": True,
            "twoFactorRedirect": True,
            "twoFactorMethods": list(outcome.methods),
            "challenge": outcome.challenge,
            "expiresAt": format_timestamp(outcome.expires_at),
        }
    )
    set_challenge_cookie(call, response, outcome)
    return response


def signed_out(call: RequestContext, body: Json) -> Response:
    """Answer that the session ended, and remove its cookies, if they came along: else another site's page asked."""
    response = JSONResponse(body)
    clear_session_cookies(call, response)
    return response
