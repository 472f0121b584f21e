"""
Introspection without the framework, for the question that services ask at every request.

A form with one token, asked by a remembered key without limits, is answered here; finding the route and checking the
body by a model would cost many times as much as the decision. Everything else, and whatever is refused, goes on to
the route, with the body as it came: it decides the same.
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
from czo_auth.core.principal import Principal
from czo_auth.rest.oauth import introspected

PATH: Final = "/introspect"
_FORM: Final = b"application/x-www-form-urlencoded"
# The characters of our tokens; a form leaves each of them as it is.
_ONE_TOKEN: Final = re.compile(rb"token=([A-Za-z0-9_.-]{1,4096})")
_NOT_PLAIN: Final = frozenset({b"origin", b"cookie", b"transfer-encoding", b"expect", b"x-api-key"})
"""Headers with which more is to be done than is done here."""


class QuickIntrospection:
    """
    Answers what it can, and hands on the rest.

    Args:
        app: The application with the route.
    """

    def __init__(self, app: ASGIApp, app_state: AppState) -> None:
        self._app = app
        self._runtime = app_state.runtime
        self._authenticator = app_state.authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take ``POST /introspect``, whose path was looked at."""
        caller = self._caller(scope)
        if caller is None:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            # The route says so.
            await self._app(self._proved(scope, caller), receive, send)
            return
        answer = await self._answer(caller, message, _length(scope))
        if answer is None:
            await self._app(self._proved(scope, caller), _again(message, receive), send)
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

    def _proved(self, scope: Scope, caller: Principal) -> Scope:
        """Leave the caller to the route, as the middleware does: the request is one use of the key, and not two."""
        state = {PRINCIPAL: caller, DEPLOYMENT: (self._runtime, asyncio.get_running_loop())}
        return {**scope, "state": {**scope.get("state", {}), **state}}

    def _caller(self, scope: Scope) -> Principal | None:
        """Return the remembered key that asks in the plainest way; None where the route has to look."""
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
        # Servers may say that more comes when nothing does; the length tells.
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
        return introspected(active, runtime).dump_json()


def _length(scope: Scope) -> bytes:
    return b",".join(value for name, value in scope["headers"] if name == b"content-length")


def _again(message: Message, receive: Receive) -> Receive:
    """Return a *receive* that gives *message* first."""
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return message

    return receive_again
