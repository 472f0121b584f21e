"""Litestar applications: the plugin, the guard, and the ways in which Litestar's paths differ."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar, Request, Response, WebSocket, get, websocket
from starlette.types import ASGIApp

from czo_auth import Auth, AuthMiddleware, Refusal
from czo_auth.integrations.litestar import CzoAuth, mounted, principal_of, requires
from tests.integrations.acting import BASE, body_of, create_key, refused, sign_up
from tests.integrations.raw import alive, client_of, handshake


@get("/orders", guards=[requires(scopes=["orders:read"])])
async def orders(request: Request[Any, Any, Any]) -> dict[str, str]:
    principal = principal_of(request)
    assert principal is not None
    return {"kind": principal.kind}


@get("/fault")
async def fault() -> None:
    raise ZeroDivisionError


@get("/own-decision")
async def own_decision(request: Request[Any, Any, Any]) -> None:
    principal = principal_of(request)
    assert principal is not None
    principal.require(aal=2)


@websocket("/live", guards=[requires(scopes=["orders:read"])])
async def live(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.close()


def shop(auth: Auth, **more: Any) -> ASGIApp:
    host = Litestar([orders, fault, own_decision, live], plugins=[CzoAuth(auth)], **more)
    return AuthMiddleware(host, auth=auth)  # type: ignore[arg-type]


@pytest.mark.parametrize("root_path", ["", "/", "/shop", "/admin", "/two-factor"])
async def test_mount_is_found_under_any_root_path(auth: Auth, root_path: str) -> None:
    async with client_of(shop(auth), root_path=root_path) as client:
        client.base_url = client.base_url.copy_with(path=root_path)
        person = await sign_up(client)
        body_of(await client.get(f"{BASE}/session", headers=person.bearer), status=200)
        body_of(await client.get(f"{BASE}/two-factor", headers=person.bearer), status=200)
        refused(await client.get(f"{BASE}/session/", headers=person.bearer), status=404, code="NOT_FOUND")
        refused(await client.get(f"{BASE}/admin/users", headers=person.bearer), status=403, code="FORBIDDEN")
        refused(await client.get(f"{BASE}/nothing"), status=404, code="NOT_FOUND")
        body_of(await client.get("/orders", headers=person.bearer), status=200)
        refused(await client.get("/orders"), status=401, code="UNAUTHORIZED")


async def test_guard_and_routes_refuse_alike(auth: Auth) -> None:
    async with client_of(shop(auth)) as client:
        person = await sign_up(client)
        _, nothing = await create_key(client, person, scopes=[])
        refused(await client.get("/orders", headers=nothing), status=403, code="INSUFFICIENT_SCOPE")
        answer = await client.get("/own-decision", headers=person.bearer)
        refused(answer, status=403, code="TWO_FACTOR_REQUIRED")


async def test_what_else_goes_wrong_is_the_hosts(auth: Auth) -> None:
    async with client_of(shop(auth), raises=False) as client:
        assert (await client.get("/fault")).status_code == 500
        assert body_of(await client.get("/nothing"), status=404)["detail"] == "Not Found"


async def test_host_may_shape_refusals_itself(auth: Auth) -> None:
    def own_shape(_: Request[Any, Any, Any], refusal: Refusal) -> Response[dict[str, str]]:
        return Response({"error": refusal.code}, status_code=400)

    async with client_of(shop(auth, exception_handlers={Refusal: own_shape})) as client:
        assert body_of(await client.get("/orders"), status=400) == {"error": "UNAUTHORIZED"}


async def test_websocket_is_guarded(auth: Auth) -> None:
    app = shop(auth)
    async with client_of(app) as client:
        person = await sign_up(client)
        _, nothing = await create_key(client, person, scopes=[])
    for headers, code in (({}, 3000), (nothing, 3003)):
        (sent,) = await handshake(app, "/live", headers=headers)
        assert (sent["type"], sent["code"]) == ("websocket.close", code)
    assert (await handshake(app, "/live", headers=person.bearer))[0]["type"] == "websocket.accept"


async def test_nobody_is_let_in_where_something_was_forgotten(auth: Auth) -> None:
    without_plugin = AuthMiddleware(Litestar([orders, mounted(auth)]), auth=auth)  # type: ignore[arg-type]
    without_middleware = Litestar([orders], plugins=[CzoAuth(auth)])
    for app in (without_plugin, without_middleware):
        async with client_of(app, raises=False) as client:  # type: ignore[arg-type]
            assert (await client.get("/orders")).status_code == 500


async def test_plugin_starts_and_stops_it(auth: Auth) -> None:
    started = []
    async with alive(shop(auth)):
        started.append(auth.is_started)
    started.append(auth.is_started)
    assert started == [True, False]
