"""From a raw request to a principal, and the middleware that guards a host's own routes."""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Awaitable
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from czo_auth.asgi.clients import Clients
from czo_auth.asgi.cookies import Cookies
from czo_auth.asgi.credentials import (
    Credential,
    authorization_in,
    payload_prefix,
    read_authorization,
    read_basic,
    unverified_issuer,
)
from czo_auth.asgi.limit_headers import add_limit_headers
from czo_auth.asgi.origins import SAFE_METHODS, Origins
from czo_auth.asgi.problems import refusal_of, send_refusal
from czo_auth.core.credentials import kind_of
from czo_auth.core.errors import (
    InvalidApiKey,
    InvalidToken,
    NotAuthenticated,
    Refusal,
    Unauthorized,
    Unavailable,
)
from czo_auth.core.principal import Principal
from czo_auth.crypto.tokens import RESERVED_PREFIXES
from czo_auth.errors import StartRefused
from czo_auth.runtime import Runtime

_BEARER = b"Bearer "

PRINCIPAL = "czo_auth.principal"
"""Key in the ASGI scope's ``state`` under which the middleware stores the principal, or None."""


DEPLOYMENT = "czo_auth.deployment"
"""Key next to it, under which the middleware stores its deployment and the event loop of the request."""


class Authenticator:
    """
    Reads and verifies the credential of a request.

    ``Authorization`` takes precedence over a cookie; a key in a query string, a cookie or (by default) ``X-API-Key`` is
    ignored.
    """

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._prefix = settings.key_prefixes
        self._issuer = settings.issuer or settings.public_url
        self._payload_prefix = payload_prefix(self._issuer)
        self._reads_key_header = settings.api_key_header
        self.cookies = Cookies.of(settings)
        self.origins = Origins(
            settings.public_url, settings.trusted_origins, is_development=not settings.is_production
        )
        self.clients = Clients(settings.trusted_proxies)

    def read(self, scope: Scope, *, is_host: bool = False) -> Credential | None:
        """
        Read the credential without verifying it.

        Args:
            is_host: Whether a route of the host is requested, where a malformed header may not be meant for us.

        Raises:
            InvalidRequest: Two ``Authorization`` headers, or a malformed one.
        """
        headers = scope["headers"]
        credential = read_authorization(headers, api_key_prefix=self._prefix, is_strict=not is_host)
        if credential is not None:
            return credential
        if self._reads_key_header:
            for name, value in headers:
                if name == b"x-api-key":
                    text = value.decode("latin-1")
                    kind = kind_of(text, api_key_prefix=self._prefix)
                    return Credential(kind=kind if kind == "api_key" else "unknown", value=text)
        token = self.cookies.read(headers).get(self.cookies.session)
        return None if token is None else Credential(kind="session", value=token, from_cookie=True)

    def read_basic(self, scope: Scope) -> Credential | None:
        """
        Read an API key that came by HTTP Basic authentication; None when nothing came that way.

        Raises:
            InvalidRequest: Two ``Authorization`` headers, or a malformed one.
        """
        return read_basic(scope["headers"], api_key_prefix=self._prefix)

    def get_cached(self, scope: Scope) -> Principal | None:
        """
        Return the cached principal of a request's Bearer credential, if it was verified and nothing has changed since.

        A shortcut, because most requests have a credential that was just verified. None says nothing about the
        credential; then read and verify it.

        Raises:
            InvalidRequest: Two ``Authorization`` headers, if anything is cached.
        """
        runtime = self._runtime
        if not runtime.is_started or not runtime.authenticate.has_cached:
            return None
        sent = authorization_in(scope["headers"])
        if sent is None or sent[:7] != _BEARER:
            return None
        client = partial(self.clients.address_of, scope)
        return runtime.authenticate.get_cached(sent[7:], client=client, clock=runtime.now)

    def is_foreign(self, credential: Credential) -> bool:
        """Whether a credential has none of our formats: prefixes, and tokens of our issuer."""
        match credential.kind:
            case "unknown":
                return not credential.value.startswith(tuple(RESERVED_PREFIXES))
            case "access_token":
                token = credential.value
                # Most are ours, and then their payload need not be decoded twice.
                if token.startswith(self._payload_prefix, token.find(".") + 1):
                    return False
                return unverified_issuer(token) != self._issuer
            case _:
                return False

    async def verify(self, credential: Credential, scope: Scope) -> Principal:
        """
        Verify the credential of a request. Each kind has one path, and no value is tried as two kinds.

        Raises:
            InvalidToken, InvalidApiKey, TwoFactorSetupRequired, IpAddressNotAllowed, ApiKeyRateLimited,
            QuotaExceeded, StorageUnavailable
        """
        runtime = self._runtime
        if not runtime.is_started:
            await runtime.start()
        now = runtime.now()
        match credential.kind:
            case "api_key":
                client = partial(self.clients.address_of, scope)
                principal = await runtime.authenticate.api_key(credential.value, client=client, now=now)
                if credential.key_id not in (None, principal.api_key_id):
                    raise InvalidApiKey
                return principal
            case "session":
                return await runtime.authenticate.session_token(credential.value, now=now)
            case "access_token":
                client = partial(self.clients.address_of, scope)
                return await runtime.authenticate.access_token(credential.value, client=client, now=now)
            case _:
                raise InvalidToken

    def check_origin(self, scope: Scope, credential: Credential | None) -> None:
        """
        Refuse a state-changing request whose cookie may have been sent by another site.

        Raises:
            MissingOrNullOrigin, InvalidOrigin
        """
        if credential is not None and credential.from_cookie and scope["method"] not in SAFE_METHODS:
            self.origins.check_cookie_request(scope)


class AuthMiddleware:
    """
    Guards a host application's routes: verifies the credential, applies the two-factor rule, and stores the principal.

    A wrong Bearer credential is refused here. A Bearer value in a foreign format, such as another issuer's token,
    counts as none: the host's routes may use it. A session cookie that is no longer valid counts as none, because a
    visitor with an old cookie must be able to see a public page. The routes of the product's own applications decide
    for themselves and are passed through; other routes below their paths are the host's. A refusal that the host lets
    pass becomes the product's JSON error, unless the answer has begun; any other exception is the host's.

    Args:
        app: The host application.
        auth: The deployment.
        required: Refuse anonymous requests too, instead of leaving that to the routes.
    """

    def __init__(self, app: ASGIApp, *, auth: Runtime, required: bool = False) -> None:
        self._app = app
        self._authenticator = Authenticator(auth)
        self._required = required
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        auth = self._auth
        if scope["type"] not in ("http", "websocket") or (auth.own_paths and self._decides_itself(scope)):
            return await self._app(scope, receive, send)
        if "graphql" in auth.__dict__:
            scope = self._at_graphql(scope)
        begun = False

        def send_noted(message: Message) -> Awaitable[None]:
            nonlocal begun
            begun = True
            return send(message)

        try:
            principal = self._authenticator.get_cached(scope)
            if principal is None or principal.is_restricted:
                principal = await self._admit(scope)
                if principal is not None and principal.limits is not None:
                    send = add_limit_headers(send, principal.limits)
            state = scope.setdefault("state", {})
            state[PRINCIPAL] = principal
            state[DEPLOYMENT] = (auth, get_running_loop())
            await self._app(scope, receive, send_noted)
        except Refusal as refusal:
            if begun:
                raise
            await refuse(scope, receive, send, refusal)

    def _at_graphql(self, scope: Scope) -> Scope:
        """
        Add the slash to the path of the GraphQL mount of a Starlette application.

        Without it Starlette answers a redirect, which many clients do not follow with a POST.
        """
        graphql = self._auth.__dict__["graphql"]
        if scope["type"] != "http" or scope["path"].endswith("/"):
            return scope
        path: str = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        for route in getattr(scope.get("app"), "routes", ()):
            if getattr(route, "app", None) is graphql and getattr(route, "path", None) == path:
                return {**scope, "path": f"{scope['path']}/", "raw_path": f"{scope['path']}/".encode()}
        return scope

    def _decides_itself(self, scope: Scope) -> bool:
        """
        Whether this is a path of one of the product's own applications, which decide by themselves.

        A host may have routes of its own beside them, such as ``/account/orders``: those are guarded.
        """
        for base, pattern in self._auth.own_paths.items():
            rest = path_within(scope, base)
            if rest is not None and pattern.match(rest or "/"):
                return True
        return False

    async def _admit(self, scope: Scope) -> Principal | None:
        credential = self._authenticator.read(scope, is_host=True)
        principal = None
        if credential is not None and self._authenticator.is_foreign(credential):
            if self._required:
                raise InvalidToken
        elif credential is not None:
            try:
                if credential.from_cookie:
                    principal = await self._verify_cookie(scope, credential)
                else:
                    principal = await self._authenticator.verify(credential, scope)
            except StartRefused as error:
                raise refusal_of(error) from None
        if principal is None and self._required:
            raise Unauthorized
        if principal is not None:
            principal.check_factors()
            principal.check_organization()
        return principal

    async def _verify_cookie(self, scope: Scope, credential: Credential) -> Principal | None:
        try:
            principal = await self._authenticator.verify(credential, scope)
        except Unavailable:
            raise
        except Refusal:
            return None
        if scope["type"] == "websocket":
            self._authenticator.origins.check_cookie_request(scope)
        else:
            self._authenticator.check_origin(scope, credential)
        return principal


def path_within(scope: Scope, base: str) -> str | None:
    """
    Return the rest of the path below *base*, or None when the host sends the request elsewhere.

    Frameworks differ in how they strip ``root_path`` if the path does not begin with it. In such cases the request
    counts as the host's, because it could otherwise bypass the guard.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root:
        if path.startswith(root + "/"):
            path = path[len(root) :]
        elif root in path:
            return None
    if path == base or path.startswith(base + "/"):
        return path[len(base) :]
    return None


async def refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    """
    Answer a raw HTTP request or WebSocket handshake with a refusal.

    A handshake gets the same JSON answer where the server can send one, else the codes that WebSockets have for it.
    Source: the WebSocket Denial Response extension of ASGI; IANA's registry of WebSocket close codes.
    """

    async def deny(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    if scope["type"] == "http":
        await send_refusal(send, refusal)
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        await send_refusal(deny, refusal)
    else:
        code = 3000 if isinstance(refusal, NotAuthenticated) else 3003
        await send({"type": "websocket.close", "code": code})
