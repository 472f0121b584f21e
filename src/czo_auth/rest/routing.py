"""
Routes that cannot be declared without saying who may call them.

The order of questions is the same for all: may the caller enter (401, 403), is the body acceptable (413, 415, 400), is
it valid (400), and only then the flow. A caller who may not enter learns nothing about the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.body import read_body
from czo_auth.asgi.entry import Call, Door, enter
from czo_auth.asgi.origins import SAFE_METHODS
from czo_auth.asgi.types import Message
from czo_auth.core.access import Access

Endpoint = Callable[..., Awaitable[Response]]


def _call(request: Request) -> Call:
    call: Call = request.state.call
    return call


Here = Annotated[Call, Depends(_call)]


class GuardedRoute(APIRoute):
    """Admits the caller and checks the body before FastAPI sees the request."""

    @property
    def access(self) -> Access:
        """Who may call this route."""
        access: Access = getattr(self.endpoint, "czo_access")  # noqa: B009 - set by ``Routes.add``
        return access

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        access = self.access
        opens_session = bool(getattr(self.endpoint, "czo_opens_session", False))

        async def handle(request: Request) -> Response:
            door: Door = request.app.state.door
            call = await enter(door, request, access, opens_session=opens_session)
            request.state.call = call
            if request.method in SAFE_METHODS:
                return await inner(request)
            body = await read_body(request)
            return await inner(Request(request.scope, _replay(body)))

        return handle


def _replay(body: bytes) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class Routes:
    """A group of routes; each says its access, and none has a default."""

    def __init__(self, tag: str) -> None:
        self.router = APIRouter(route_class=GuardedRoute, tags=[tag])

    def add(
        self,
        method: str,
        path: str,
        *,
        access: Access,
        status: int = 200,
        opens_session: bool = False,
        hidden: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """
        Register the decorated endpoint.

        Args:
            opens_session: Whether it signs somebody in or up, which another site must not cause.
            hidden: Whether the OpenAPI document leaves it out.
        """

        def register(endpoint: Endpoint) -> Endpoint:
            endpoint.czo_access = access  # type: ignore[attr-defined]
            endpoint.czo_opens_session = opens_session  # type: ignore[attr-defined]
            self.router.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                response_model=None,
                include_in_schema=not hidden,
                operation_id=f"{method.lower()}{path}".translate(_OPERATION),
                openapi_extra={"x-credential": access.credential},
            )
            return endpoint

        return register


_OPERATION = str.maketrans({"/": "_", "-": "_", "{": "", "}": ""})
