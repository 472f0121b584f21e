"""The ASGI application that answers GraphQL: ``POST`` with a JSON object, for callers who are known."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth.asgi.admission import AppState, admit_request
from czo_auth.asgi.body import read_body
from czo_auth.asgi.problems import send_refusal
from czo_auth.core.access import SERVICE
from czo_auth.core.errors import MethodNotAllowed, ValidationFailed
from czo_auth.core.limits import MAX_GRAPHQL_BYTES
from czo_auth.graphql.problems import DocumentRefused

if TYPE_CHECKING:
    from czo_auth.graphql.engine import Engine


def graphql_app(app_state: AppState) -> ASGIApp:
    """Build the application for one deployment; it answers on every path below its mount."""
    return _GraphQL(app_state)


class _GraphQL:
    def __init__(self, app_state: AppState) -> None:
        self._app_state = app_state
        self._engine: Engine | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer one request.

        Raises:
            Refusal: The fault barrier around it responds, with the same body as REST.
        """
        if scope["type"] != "http":
            await _hang_up(scope, receive, send)
        elif scope["method"] != "POST":
            await send_refusal(send, MethodNotAllowed(), extra=[(b"allow", b"POST")])
        else:
            await self._answer(Request(scope, receive), send)

    async def _answer(self, request: Request, send: Send) -> None:
        call = await admit_request(self._app_state, request, SERVICE, opens_session=False)
        asked = _read(json.loads(await read_body(request, largest=MAX_GRAPHQL_BYTES)))
        engine = self._engine or await self._start()
        try:
            answer = await engine.answer(
                call, asked.query, variables=asked.variables, operation_name=asked.operation_name
            )
            status = 200
        except DocumentRefused as refused:
            status, answer = 400, {"errors": refused.problems}
        await _send_json(send, status, answer)

    async def _start(self) -> Engine:
        """Load the engine in a thread, so that other requests are not delayed."""
        engine = await asyncio.to_thread(_load, self._app_state)
        self._engine = self._engine or engine
        return self._engine


def _load(app_state: AppState) -> Engine:
    from czo_auth.graphql.engine import Engine

    return Engine(introspection_is_open=app_state.runtime.settings.introspection_is_open)


@dataclass(frozen=True, slots=True, kw_only=True)
class _GraphQLRequest:
    """The content of a request; the document may contain anything, so ``repr`` does not show it."""

    query: str = field(repr=False)
    variables: dict[str, Any] | None = field(repr=False)
    operation_name: str | None


_TYPES: dict[str, tuple[type, ...]] = {
    "query": (str,),
    "variables": (dict, type(None)),
    "operationName": (str, type(None)),
    "extensions": (dict, type(None)),
}


def _read(body: dict[str, Any]) -> _GraphQLRequest:
    """
    Read the request. ``extensions`` are ignored, as the GraphQL-over-HTTP specification requires.

    Raises:
        ValidationFailed: A field is missing, unknown or not of its type.
    """
    details = [(name[:64], "This field is not known.") for name in body if name not in _TYPES]
    for name, types in _TYPES.items():
        if name in body and not isinstance(body[name], types):
            details.append((name, "This has the wrong type."))
    if "query" not in body:
        details.append(("query", "This field is required."))
    if details:
        raise ValidationFailed(details=details[:20])
    return _GraphQLRequest(
        query=body["query"], variables=body.get("variables"), operation_name=body.get("operationName")
    )


async def _hang_up(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})


async def _send_json(send: Send, status: int, value: object) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
