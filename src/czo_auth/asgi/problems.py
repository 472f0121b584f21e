"""Error responses: the table of HTTP statuses, and the format of an error."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from starlette.types import Send

from czo_auth.asgi.limit_headers import limit_headers
from czo_auth.core import errors
from czo_auth.core.api_keys.scopes import SCOPE
from czo_auth.core.errors import Refusal, Unavailable
from czo_auth.errors import StartRefused

_LOG = logging.getLogger("czo_auth")
STATUS: dict[type[Refusal], int] = {
    errors.Invalid: 400,
    errors.NotAuthenticated: 401,
    errors.Forbidden: 403,
    errors.Missing: 404,
    errors.MethodNotAllowed: 405,
    errors.BodyTooSlow: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.Unprocessable: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
_ABOUT_THE_CREDENTIAL = (errors.InvalidToken, errors.InvalidApiKey)
Headers = list[tuple[bytes, bytes]]
NO_SNIFF = (b"x-content-type-options", b"nosniff")
"""JSON can contain user input too, and no browser may interpret it as a page or a script."""


def refusal_of(error: Exception) -> Refusal:
    """Translate any exception to a refusal. A bug of ours is logged, and reported to the caller as an outage."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, StartRefused):
        _LOG.critical("cannot start: %s", error)
    else:
        _LOG.error("unexpected fault", exc_info=error)
    return Unavailable()


def status_of(refusal: Refusal) -> int:
    """Return the HTTP status of a refusal by its kind."""
    for kind in type(refusal).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def oauth_error(refusal: Refusal) -> str:
    """
    Return the OAuth error code of a refusal. Source: RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 8693 section
    2.2.2.
    """
    match refusal:
        case errors.InvalidTarget():
            return "invalid_target"
        case errors.InvalidScope():
            return "invalid_scope"
        case errors.UnsupportedGrantType():
            return "unsupported_grant_type"
        case errors.InvalidRefreshToken() | errors.InvalidDeviceCode():
            return "invalid_grant"
        case errors.ExpiredDeviceCode():
            return "expired_token"
        case errors.AuthorizationPending():
            return "authorization_pending"
        case errors.SlowDown():
            return "slow_down"
        case errors.DeviceDenied() | errors.OpenedInAnotherSession():
            return "access_denied"
        case errors.InsufficientScope():
            return "insufficient_scope"
        case errors.NotAuthenticated():
            return "invalid_client"
        case errors.Forbidden():
            return "access_denied"
        case errors.TooMany() | errors.Unavailable() | errors.RefreshInProgress():
            return "temporarily_unavailable"
        case _:
            return "invalid_request"


def body_of(refusal: Refusal) -> dict[str, object]:
    """Return the body: code, message, status, and if applicable ``details`` and ``retryAfter``."""
    body: dict[str, object] = {"code": refusal.code, "message": refusal.message, "status": status_of(refusal)}
    if refusal.details:
        body["details"] = [
            {"loc": where if isinstance(where, str) else list(where), "msg": what}
            for where, what in refusal.details
        ]
    if refusal.retry_after is not None:
        body["retryAfter"] = refusal.retry_after
    return body


def headers_of(refusal: Refusal) -> Headers:
    """Return the headers that go with a refusal. Source: RFC 6750 section 3 (``WWW-Authenticate``)."""
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        NO_SNIFF,
    ]
    if isinstance(refusal, errors.NotAuthenticated):
        wrong = isinstance(refusal, _ABOUT_THE_CREDENTIAL)
        headers.append((b"www-authenticate", b'Bearer error="invalid_token"' if wrong else b"Bearer"))
    if isinstance(refusal, errors.InsufficientScope) and all(map(SCOPE.fullmatch, refusal.scopes)):
        named = f', scope="{" ".join(refusal.scopes)}"' if refusal.scopes else ""
        challenge = f'Bearer error="insufficient_scope"{named}'
        headers.append((b"www-authenticate", challenge.encode()))
    if refusal.retry_after is not None:
        headers.append((b"retry-after", str(refusal.retry_after).encode()))
    if isinstance(refusal, errors.ApiKeyLimited) and refusal.limits is not None:
        headers += limit_headers(refusal.limits)
    return headers


async def send_refusal(
    send: Send, refusal: Refusal, *, extra: Sequence[tuple[bytes, bytes]] = (), status: int | None = None
) -> None:
    """Respond to a raw ASGI request with a refusal; *status* overrides that of its kind."""
    status = status_of(refusal) if status is None else status
    body = json.dumps({**body_of(refusal), "status": status}).encode()
    headers = [*headers_of(refusal), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
