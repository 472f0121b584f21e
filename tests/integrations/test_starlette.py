"""Starlette applications: the decorator on every kind of endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket

from czo_auth import Auth, AuthMiddleware
from czo_auth.integrations.starlette import principal_of, requires
from tests.integrations.acting import BASE, body_of, create_key, refused, sign_up
from tests.integrations.raw import client_of, denial, handshake


def shown(request: Request) -> Response:
    principal = principal_of(request)
    return JSONResponse({"kind": principal.kind if principal else None})


@requires(scopes=["orders:read"])
async def coroutine(request: Request) -> Response:
    return shown(request)


@requires(scopes=["orders:read"])
def function(request: Request) -> Response:
    return shown(request)


class Endpoint(HTTPEndpoint):
    @requires(scopes=["orders:read"])
    async def get(self, request: Request) -> Response:
        return shown(request)

    async def post(self, request: Request) -> Response:
        return shown(request)


@requires(scopes=["orders:read"])
async def live(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


ROUTES: list[Any] = [
    Route("/coroutine", coroutine),
    Route("/function", function),
    Route("/endpoint", Endpoint),
    WebSocketRoute("/live", live),
]


def shop(auth: Auth) -> Starlette:
    inside = [Mount("/application", Starlette(routes=ROUTES)), Mount("/router", Router(ROUTES))]
    return Starlette(
        routes=[Mount(BASE, auth.app), *ROUTES, *inside],
        middleware=[Middleware(AuthMiddleware, auth=auth)],
    )


@pytest.mark.parametrize("where", ["", "/application", "/router"])
async def test_every_kind_of_endpoint_is_guarded(auth: Auth, where: str) -> None:
    app = shop(auth)
    async with client_of(app) as client:
        person = await sign_up(client)
        _, reads = await create_key(client, person, scopes=["orders:read"])
        _, nothing = await create_key(client, person, scopes=[])
        for path in ("coroutine", "function", "endpoint"):
            at = f"{where}/{path}"
            refused(await client.get(at), status=401, code="UNAUTHORIZED")
            refused(await client.get(at, headers=nothing), status=403, code="INSUFFICIENT_SCOPE")
            assert body_of(await client.get(at, headers=reads), status=200) == {"kind": "api_key"}
            assert body_of(await client.get(at, headers=person.bearer), status=200) == {"kind": "session"}
        assert body_of(await client.post(f"{where}/endpoint"), status=200) == {"kind": None}
    assert denial(await handshake(app, f"{where}/live"))[0] == 401
    assert denial(await handshake(app, f"{where}/live", headers=nothing))[0] == 403
    assert (await handshake(app, f"{where}/live", headers=reads))[0]["type"] == "websocket.accept"


def test_decorated_endpoint_keeps_its_name() -> None:
    assert (coroutine.__name__, function.__name__) == ("coroutine", "function")


def test_endpoint_without_request_is_reported_what_is_wrong() -> None:
    @requires()
    def endpoint() -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="request"):
        endpoint()
