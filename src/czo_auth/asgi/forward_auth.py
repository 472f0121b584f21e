"""
Forward authentication: the middleware's decision for reverse proxies.

nginx (``auth_request``), Traefik (ForwardAuth) and Envoy (``ext_authz`` over HTTP) send the head of each request here
and let it through on 200. The principal is returned in headers that are always all present, empty if there is no value,
so a proxy that copies them overwrites whatever a client sent under their names (S39).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from czo_auth.asgi.admission import AppState
from czo_auth.asgi.credentials import Credential
from czo_auth.asgi.limit_headers import add_limit_headers, limit_headers
from czo_auth.asgi.origins import SAFE_METHODS
from czo_auth.asgi.problems import refusal_of, send_refusal, status_of
from czo_auth.core.api_keys.scopes import SCOPE
from czo_auth.core.errors import (
    InvalidRequest,
    InvalidToken,
    Refusal,
    TooMany,
    Unauthorized,
    ValidationFailed,
)
from czo_auth.core.principal import Principal

PATH: Final = "/forward-auth"
ROUTES: Final = (Mount(PATH, routes=[]), Route(PATH, endpoint=lambda _: Response()))
"""The paths that belong to it."""

HEADERS: Final = (
    "X-Auth-Kind",
    "X-Auth-User",
    "X-Auth-Service-Account",
    "X-Auth-Actor",
    "X-Auth-Organization",
    "X-Auth-Scopes",
    "X-Auth-Key",
)
ERROR_HEADER: Final = b"x-auth-error"

_NAMES: Final = tuple(name.lower().encode() for name in HEADERS)
_ALWAYS: Final = ((b"content-length", b"0"), (b"cache-control", b"no-store"))

_MAX_KNOWN: Final = 128
"""How many parsed queries are cached."""
_METHOD_HEADERS: Final = (b"x-forwarded-method", b"x-original-method")
_REQUIREMENTS: Final = frozenset({"scopes", "aal", "actor", "phr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a proxy requires besides a credential; all of it must hold."""

    actor: str | None
    scopes: tuple[str, ...]
    aal: int
    phishing_resistant: bool


_NOTHING_MORE: Final = Requirements(actor=None, scopes=(), aal=1, phishing_resistant=False)


class ForwardAuth:
    """Decides whether a proxy may forward a request. The body is ignored, and any method is accepted."""

    def __init__(self, app_state: AppState) -> None:
        self._runtime = app_state.runtime
        self._authenticator = app_state.authenticator
        self._known: dict[bytes, Requirements] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = None
        try:
            required = self._required(scope)
            principal = await self._verify(scope)
            principal.require(
                actor=required.actor,
                scopes=required.scopes,
                aal=required.aal,
                phishing_resistant=required.phishing_resistant,
                service_accounts=True,
            )
        except Exception as error:
            limits = None if principal is None else principal.limits
            await _refuse(send if limits is None else add_limit_headers(send, limits), refusal_of(error))
            return
        headers = [*_named(principal), *_ALWAYS]
        if principal.limits is not None:
            headers += limit_headers(principal.limits)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _required(self, scope: Scope) -> Requirements:
        """
        Read what the proxy requires besides a credential.

        If Envoy appends the client's path, the query comes from the client too: unknown parameters are ignored, and
        known ones can only add requirements.

        Raises:
            ValidationFailed: A requirement is unknown, repeated or malformed.
        """
        query = scope.get("query_string", b"")
        if not query:
            return _NOTHING_MORE
        is_plain = scope["path"] == PATH
        if is_plain and query in self._known:
            return self._known[query]
        required = self._parsed(query, is_plain=is_plain)
        # A proxy repeats the same few queries; a client's own query is not among them.
        if is_plain and len(self._known) < _MAX_KNOWN:
            self._known[query] = required
        return required

    def _parsed(self, query: bytes, *, is_plain: bool) -> Requirements:
        try:
            pairs = parse_qsl(
                query.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=False,
                errors="strict",
                max_num_fields=64,
            )
        except ValueError:
            raise _odd("query", "This is not a valid query.") from None
        ours = [(name, value) for name, value in pairs if name in _REQUIREMENTS]
        if is_plain and len(ours) != len(pairs):
            raise _odd("query", "A parameter is not known.")
        found = dict(ours)
        if len(found) != len(ours):
            raise _odd("query", "A parameter comes twice.")
        return self._checked(found)

    def _checked(self, found: Mapping[str, str]) -> Requirements:
        scopes = tuple(found["scopes"].split(" ")) if "scopes" in found else ()
        if not all(SCOPE.fullmatch(scope) for scope in scopes):
            raise _odd("scopes", "Send scopes with a plus sign between them.")
        if found.get("aal", "1") not in ("1", "2"):
            raise _odd("aal", "This must be 1 or 2.")
        actor = found.get("actor")
        if actor is not None and actor not in {one.name for one in self._runtime.services.actors}:
            raise _odd("actor", "There is no such actor type.")
        if found.get("phr", "true") not in ("true", "false"):
            raise _odd("phr", "This must be true or false.")
        return Requirements(
            actor=actor,
            scopes=scopes,
            aal=int(found.get("aal", "1")),
            phishing_resistant=found.get("phr") == "true",
        )

    async def _verify(self, scope: Scope) -> Principal:
        try:
            principal = self._authenticator.get_cached(scope)
            credential = self._authenticator.read(scope) if principal is None else None
        except InvalidRequest:
            # Repeated or malformed: proxies only know 401 and 403.
            raise InvalidToken from None
        if principal is not None:
            return principal
        if credential is None:
            raise Unauthorized
        await self._runtime.start()
        principal = await self._authenticator.verify(credential, scope)
        if credential.from_cookie:
            self._check_origin(scope, credential)
        return principal

    def _check_origin(self, scope: Scope, credential: Credential) -> None:
        """Check the origin of the proxied request by its method; without a method it counts as state-changing."""
        method = self._original_method(scope)
        if method not in SAFE_METHODS:
            self._authenticator.check_origin({**scope, "method": "POST"}, credential)

    def _original_method(self, scope: Scope) -> str | None:
        client = scope.get("client")
        if client is None or not self._authenticator.clients.is_trusted(str(client[0])):
            return None
        values = [value.decode("latin-1") for name, value in scope["headers"] if name in _METHOD_HEADERS]
        return values[0] if values and len(set(values)) == 1 else None


def _named(principal: Principal) -> list[tuple[bytes, bytes]]:
    """
    Return the principal in the headers of `HEADERS`: all of them, empty if there is no value.

    By their format, ids, actor types and scopes contain no control characters.
    """
    values = (
        principal.kind,
        principal.user_id,
        principal.service_account_id,
        principal.actor_type,
        principal.organization_id,
        " ".join(principal.scopes),
        principal.api_key_id,
    )
    return [
        (name, b"" if value is None else value.encode()) for name, value in zip(_NAMES, values, strict=True)
    ]


async def _refuse(send: Send, refusal: Refusal) -> None:
    """
    Respond with 400 for invalid requirements, 503 for an outage, and otherwise only with what every proxy knows: 401
    and 403.
    """
    extra = [(ERROR_HEADER, refusal.code.encode())]
    extra += [(name, b"") for name in _NAMES]
    status = status_of(refusal)
    if isinstance(refusal, TooMany) or status not in (400, 401, 403, 503):
        await send_refusal(send, refusal, extra=extra, status=403)
    else:
        await send_refusal(send, refusal, extra=extra)


def _odd(where: str, what: str) -> ValidationFailed:
    return ValidationFailed(details=((where, what),))
