"""Session cookies, the same for REST and the pages."""

from __future__ import annotations

from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core.flows.sessions.issue import SignedIn
from czo_auth.core.flows.sign_in.password import SecondFactorRequired
from czo_auth.core.users.known_browser import LIFETIME, joined_with
from czo_auth.crypto import tokens


def set_session_cookies(call: RequestContext, response: Response, outcome: SignedIn) -> None:
    """Add the session's cookie and those of the browser, where there are any; a finished challenge's is removed."""
    cookies, issued = call.authenticator.cookies, outcome.issued
    until = issued.session.expires_at if issued.session.remembered else None
    if (older := cookies.clear_for_host(cookies.session)) is not None:
        _add(response, older)
    _add(response, cookies.set(cookies.session, issued.session_token, until=until, now=call.now))
    if cookies.challenge in call.cookies:
        _add(response, cookies.clear(cookies.challenge))
    if outcome.browser_token is not None:
        value = joined_with(outcome.browser_token, call.known_browser)
        _add(response, cookies.set(cookies.browser, value, until=call.now + LIFETIME, now=call.now))
    if outcome.trusted_device_token is not None:
        end = call.now + call.runtime.services.policies.two_factor.trusted_device_lifetime
        presented = tokens.split_tokens(call.cookies.get(cookies.device, ""), tokens.TRUSTED_DEVICE)
        others = [token for token in presented if token != outcome.used_device_token]
        value = tokens.join_tokens(outcome.trusted_device_token, others)
        _add(response, cookies.set(cookies.device, value, until=end, now=call.now))


def set_challenge_cookie(call: RequestContext, response: Response, required: SecondFactorRequired) -> None:
    """Add the challenge's cookie; an old session must not be used for the new sign-in when the code arrives."""
    cookies = call.authenticator.cookies
    _add(
        response,
        cookies.set(cookies.challenge, required.challenge, until=required.expires_at, now=call.now),
    )
    if cookies.session in call.cookies:
        _add(response, cookies.clear(cookies.session))


def set_ceremony_cookie(call: RequestContext, response: Response, ceremony: str) -> None:
    """Add the cookie of a passkey ceremony, for clients that do not send it in the body."""
    until = call.now + call.runtime.services.policies.passkeys.ceremony_lifetime
    name = call.authenticator.cookies.ceremony
    _add(response, call.authenticator.cookies.set(name, ceremony, until=until, now=call.now))


def clear_ceremony_cookie(call: RequestContext, response: Response) -> None:
    """Remove the cookie of a ceremony that was answered, if it came along."""
    cookies = call.authenticator.cookies
    if cookies.ceremony in call.cookies:
        _add(response, cookies.clear(cookies.ceremony))


def clear_session_cookies(call: RequestContext, response: Response) -> None:
    """Remove the cookies of an ended session, if they were sent: otherwise the request came from another site."""
    cookies = call.authenticator.cookies
    for name in (cookies.session, cookies.challenge):
        if name in call.cookies:
            _add(response, cookies.clear(name))


def _add(response: Response, cookie: str) -> None:
    response.headers.append("set-cookie", cookie)
