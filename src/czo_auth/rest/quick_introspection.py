"""
Introspection without the framework, for the request that services send at each of their own requests.

A form with one token, sent with a cached key without limits, is answered here: finding the route and validating the
body with a model would cost many times as much as the decision. All other requests, and those that would be refused, go
to the route with an unchanged body. The route makes the same decision.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from czo_auth.asgi.admission import AppState
from czo_auth.asgi.authentication import DEPLOYMENT, PRINCIPAL
from czo_auth.asgi.body import BODY_SECONDS
from czo_auth.asgi.problems import NO_SNIFF
from czo_auth.core.access import KEY_WITH_BASIC, admit
from czo_auth.core.errors import Refusal
from czo_auth.core.flows.authentication.cache import make_room
from czo_auth.core.principal import Principal
from czo_auth.rest.oauth import introspected

PATH: Final = "/introspect"
_FORM: Final = b"application/x-www-form-urlencoded"
# The characters of our tokens; form encoding leaves them unchanged.
_ONE_TOKEN: Final = re.compile(rb"token=([A-Za-z0-9_.-]{1,4096})")
_NOT_PLAIN: Final = frozenset({b"origin", b"cookie", b"transfer-encoding", b"expect", b"x-api-key"})
"""Requests with one of these headers need the route."""
_MAX_ANSWERS: Final = 4096
"""How many answers are cached; about 2 MB."""


class QuickIntrospection:
    """
    Answers the requests that it can, and passes the others on.

    The answer about an opaque credential depends on its principal only. While the principal is cached, so is the
    answer: each use is still decided and counted, but its answer is not serialized again.

    Args:
        app: The application with the route.
    """

    def __init__(self, app: ASGIApp, app_state: AppState) -> None:
        self._app = app
        self._runtime = app_state.runtime
        self._authenticator = app_state.authenticator
        self._answers: dict[int, tuple[Principal, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle ``POST /introspect``; the caller checked the path."""
        caller = self._caller(scope)
        if caller is None:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            # The route has the same requirement.
            await self._app(self._with_caller(scope, caller), receive, send)
            return
        answer = await self._answer(caller, message, _length(scope))
        if answer is None:
            await self._app(self._with_caller(scope, caller), _again(message, receive), send)
            return
        headers = [
            (b"content-length", str(len(answer)).encode()),
            (b"content-type", b"application/json"),
            (b"vary", b"Origin"),
            (b"cache-control", b"no-store"),
            NO_SNIFF,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _with_caller(self, scope: Scope, caller: Principal) -> Scope:
        """Pass the caller on to the route, as the middleware does, so that the request counts as one use of the key."""
        state = {PRINCIPAL: caller, DEPLOYMENT: (self._runtime, asyncio.get_running_loop())}
        return {**scope, "state": {**scope.get("state", {}), **state}}

    def _caller(self, scope: Scope) -> Principal | None:
        """Return the cached key of the caller if the request needs no further check; None if the route must decide."""
        content_type = None
        for name, value in scope["headers"]:
            if name in _NOT_PLAIN:
                return None
            if name == b"content-type":
                if content_type is not None:
                    return None
                content_type = value
        if content_type != _FORM or scope["query_string"]:
            return None
        try:
            principal = self._authenticator.get_cached(scope)
            return None if principal is None else admit(principal, KEY_WITH_BASIC)
        except Refusal:
            return None

    async def _answer(self, caller: Principal, message: Message, length: bytes) -> bytes | None:
        body = message.get("body", b"")
        # Servers may announce another message when there is none; the length is reliable.
        if message["type"] != "http.request" or length != str(len(body)).encode():
            return None
        found = _ONE_TOKEN.fullmatch(body)
        if found is None:
            return None
        runtime = self._runtime
        try:
            active = await runtime.introspect.introspect(
                caller, found[1].decode("ascii"), client_ip=None, now=runtime.now()
            )
        except Refusal:
            return None
        if active is None or active.token is not None or active.principal.limits is not None:
            return introspected(active, runtime).dump_json()
        known = self._answers.get(id(active.principal))
        # The entry keeps the principal alive, so no other object can have its id.
        if known is not None and known[0] is active.principal:
            return known[1]
        answer = introspected(active, runtime).dump_json()
        make_room(self._answers, max_entries=_MAX_ANSWERS)
        self._answers[id(active.principal)] = active.principal, answer
        return answer


def _length(scope: Scope) -> bytes:
    return b",".join(value for name, value in scope["headers"] if name == b"content-length")


def _again(message: Message, receive: Receive) -> Receive:
    """Return a *receive* that returns *message* first."""
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return message

    return receive_again
