"""The ASGI applications of a deployment, with CORS and a catch-all for unexpected errors."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from czo_auth.asgi.admission import AppState
from czo_auth.asgi.authentication import Authenticator
from czo_auth.asgi.body import UnreadBody
from czo_auth.asgi.caching import JWKS_CACHE_CONTROL
from czo_auth.asgi.forward_auth import PATH as FORWARD_AUTH
from czo_auth.asgi.forward_auth import ROUTES as FORWARD_AUTH_ROUTES
from czo_auth.asgi.forward_auth import ForwardAuth
from czo_auth.asgi.limit_headers import LIMITS, limit_headers
from czo_auth.asgi.mounts import MountCheck
from czo_auth.asgi.origins import Origins
from czo_auth.asgi.paths import own_path, pattern_of
from czo_auth.asgi.problems import NO_SNIFF, refusal_of, send_refusal
from czo_auth.asgi.public_document import PublicDocument
from czo_auth.asgi.route_table import one_by_one
from czo_auth.asgi.telemetry import measure
from czo_auth.extras import require_extra
from czo_auth.rest.app import rest_app
from czo_auth.rest.oauth import METADATA, authorization_server_metadata
from czo_auth.rest.quick_introspection import PATH as INTROSPECTION
from czo_auth.rest.quick_introspection import QuickIntrospection
from czo_auth.runtime import Runtime
from czo_auth.version import VERSION

_OF_THE_HOST = ("route", "fastapi.telemetry")


def build_app_state(runtime: Runtime) -> AppState:
    """Build the middleware for every request of *runtime*."""
    authenticator = Authenticator(runtime)
    return AppState(runtime=runtime, authenticator=authenticator, clients=authenticator.clients)


def mounted_app(runtime: Runtime, app_state: AppState) -> ASGIApp:
    """
    Build the application that a host mounts at the base path.

    It finds its own path in either way of mounting: with a ``root_path`` (Starlette), or with the prefix stripped
    (Litestar, which adds a slash). At another path than the base path, every answer is an error that says so. Its
    lifespan never runs there, so the first request starts it.
    """
    base = runtime.settings.base_path
    rest = rest_app(app_state, version=VERSION)
    runtime.own_paths[base] = pattern_of([*rest.routes, *FORWARD_AUTH_ROUTES])
    answering = with_cors(FaultBarrier(rest, app_state, base_path=base), app_state)
    hot = _HotRoutes(answering, app_state, base_path=base)
    return MountCheck(hot, runtime, attribute="app", setting="base_path")


def oauth_metadata_of(runtime: Runtime) -> PublicDocument:
    """
    Build the document at the root of the host that says where the OAuth endpoints are.

    Source: RFC 8414 section 3.1: the well-known path is between the issuer's host and its path.
    """
    issuer = runtime.services.access_tokens.issuer
    path = METADATA + urlsplit(issuer).path.rstrip("/")
    return PublicDocument(path, lambda: authorization_server_metadata(runtime))


def graphql_app_of(runtime: Runtime, app_state: AppState) -> ASGIApp:
    """Build the GraphQL application."""
    require_extra("graphql", "GraphQL")
    from czo_auth.graphql.app import graphql_app

    return with_cors(
        FaultBarrier(graphql_app(app_state), app_state, base_path="", route="/graphql"), app_state
    )


def pages_app_of(runtime: Runtime, app_state: AppState) -> ASGIApp:
    """Build the account pages. No other site reads them, so there is no CORS; they set their own caching headers."""
    require_extra("pages", "Auth.pages")
    from czo_auth.web.app import pages_app

    base = runtime.settings.pages_path
    pages = pages_app(app_state, base=base)
    runtime.own_paths[base] = pattern_of(one_by_one(pages.routes))
    answering = FaultBarrier(pages, app_state, base_path=base)
    return MountCheck(answering, runtime, attribute="pages", setting="pages_path")


def with_cors(app: ASGIApp, app_state: AppState) -> ASGIApp:
    """Handle preflights and let trusted origins read responses, with credentials."""
    answering = _TrustedOrigins(
        app,
        origins=app_state.authenticator.origins,
        allow_credentials=True,
        allow_methods=["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"],
        # Any header: tracing libraries add their own headers to every request.
        allow_headers=["*"],
        expose_headers=["set-auth-token", "retry-after", "ratelimit-policy", "ratelimit"],
        max_age=600,
    )
    return ResponseHeaders(answering)


class _TrustedOrigins(CORSMiddleware):
    """CORS for the trusted origins."""

    def __init__(self, app: ASGIApp, *, origins: Origins, **options: Any) -> None:
        super().__init__(app, **options)
        self._origins = origins

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether pages of *origin* may read responses."""
        return self._origins.trusts(origin)


class ResponseHeaders:
    """
    Sets ``nosniff`` on every response, including preflights, and ``no-store`` except for the public keys.

    Responses to an API key with limits report them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = _no_store(message["headers"])
                if LIMITS in state:
                    headers = [*headers, *limit_headers(state[LIMITS])]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_marked)


class _HotRoutes:
    """
    Handles without the framework the requests that proxies and services send for each of their own requests.

    These are forward authentication, also past CORS and body parsing, because a proxied preflight is a request too; and
    introspection, if nothing measures it.
    """

    def __init__(self, app: ASGIApp, app_state: AppState, *, base_path: str) -> None:
        self._app = app
        self._app_state = app_state
        self._forward_auth = ForwardAuth(app_state)
        self._introspection = QuickIntrospection(app, app_state)
        self._base = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = own_path(scope, self._base)
            if path == FORWARD_AUTH or path.startswith(FORWARD_AUTH + "/"):
                inner = {**scope, "path": path, "root_path": ""}
                await measure(
                    self._forward_auth, self._app_state, inner, receive, send, route=self._base + FORWARD_AUTH
                )
                return
            is_asked = path == INTROSPECTION and scope["method"] == "POST"
            if is_asked and not self._app_state.runtime.telemetry.has_sdk:
                await self._introspection(scope, receive, send)
                return
        await self._app(scope, receive, send)


class FaultBarrier:
    """
    Normalizes the path, turns errors into clean responses, and reads unread bodies before responding.

    The requests of a burst begin a few at a time.

    Args:
        route: The pattern of all its paths, for telemetry, where the application has no routes.
    """

    def __init__(
        self, app: ASGIApp, app_state: AppState, *, base_path: str, route: str | None = None
    ) -> None:
        self._app = app
        self._app_state = app_state
        self._base = base_path
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app_state.start_queue.wait()
        inner = dict(scope)
        inner["path"], inner["root_path"] = (
            own_path(scope, self._base) if self._base else _any_path(scope),
            "",
        )
        inner["raw_path"] = inner["path"].encode()
        # The host's own: its route, and recorders that would store our paths and messages.
        for name in _OF_THE_HOST:
            inner.pop(name, None)
        await measure(self._answer, self._app_state, inner, receive, send, route=self._route, base=self._base)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        body = UnreadBody(scope, receive)

        async def send_noted(message: Message) -> None:
            nonlocal started
            if not started:
                await body.discard()
            started = True
            await send(message)

        try:
            await self._app(scope, body.receive, send_noted)
        except Exception as error:
            if started:
                raise
            await send_refusal(send_noted, refusal_of(error))


def _any_path(scope: Scope) -> str:
    """Return the path of an application that answers on every path below its mount."""
    return "/" + str(scope["path"]).strip("/")


def _no_store(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    # Only the JWKS sets it, which contains only public keys.
    public = (b"cache-control", JWKS_CACHE_CONTROL.encode())
    caching = public if public in headers else (b"cache-control", b"no-store")
    kept = [(name, value) for name, value in headers if name not in (b"cache-control", NO_SNIFF[0])]
    return [*kept, caching, NO_SNIFF]
