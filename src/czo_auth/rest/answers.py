"""Responses with more than a body: session cookies and the token header, or a file name."""

from __future__ import annotations

from typing import Generic, TypeVar

from starlette.responses import JSONResponse, Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.asgi.session_cookies import clear_session_cookies, set_challenge_cookie, set_session_cookies
from czo_auth.core.flows.sessions.issue import SignedIn
from czo_auth.core.flows.sign_in.password import SecondFactorRequired
from czo_auth.rest import records
from czo_auth.rest.records import Json
from czo_auth.rest.serialization import serialize

AUTH_TOKEN_HEADER = "set-auth-token"  # noqa: S105 - the name of a header

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R", bound=Response)


class Answer(JSONResponse, Generic[T_co]):
    """
    A response with its own headers; the type argument is the type of the body.

    A route without such headers returns the record instead.

    Args:
        body: Or its JSON, already written.
    """

    def __init__(self, body: T_co | bytes, *, status_code: int = 200) -> None:
        super().__init__(records.dump(body), status_code=status_code)

    def render(self, content: object) -> bytes:
        """Write *content* as JSON."""
        return content if isinstance(content, bytes) else super().render(content)


SignInAnswer = Answer[records.SignedIn | records.SecondFactorRequired]


def no_content() -> Response:
    """Respond with 204."""
    return Response(status_code=204)


async def attachment(document: Json, filename: str) -> Answer[records.AccountExport]:
    """Respond with a document that a browser saves as *filename*, which is ASCII."""
    response: Answer[records.AccountExport] = Answer(await serialize(document))
    response.headers["content-disposition"] = f'attachment; filename="{filename}"'
    return response


def signed_in(call: RequestContext, outcome: SignedIn, *, verified: bool = False) -> records.SignedIn:
    """Make the record of a sign-in or renewal; *verified* is whether a second factor was proved."""
    lifetime = call.runtime.services.access_tokens.lifetime
    return records.SignedIn.of(outcome, call.user_fields, lifetime=lifetime, verified=verified)


def set_session(call: RequestContext, response: R, outcome: SignedIn) -> R:
    """Add the session's secrets to *response*: the cookie and the header for Bearer front ends."""
    response.headers[AUTH_TOKEN_HEADER] = outcome.issued.session_token
    set_session_cookies(call, response, outcome)
    return response


def sign_in_answer(
    call: RequestContext, outcome: SignedIn | SecondFactorRequired, *, verified: bool = False
) -> SignInAnswer:
    """Respond to a sign-in with a session, or with a challenge for the second factor."""
    if isinstance(outcome, SecondFactorRequired):
        response = SignInAnswer(records.SecondFactorRequired.of(outcome))
        set_challenge_cookie(call, response, outcome)
        return response
    return set_session(call, SignInAnswer(signed_in(call, outcome, verified=verified)), outcome)


def renewed(call: RequestContext, outcome: SignedIn, *, verified: bool = False) -> Answer[records.SignedIn]:
    """Respond with a session, where no second factor can be required."""
    return set_session(call, Answer(signed_in(call, outcome, verified=verified)), outcome)


def signed_out(call: RequestContext, body: T) -> Answer[T]:
    """Respond that the session ended. Remove its cookies only if the request had them: else another site sent it."""
    response = Answer(body)
    clear_session_cookies(call, response)
    return response
