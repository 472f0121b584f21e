"""A shop on Starlette that lets czo-auth look after accounts, second factors and API keys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from czo_auth import Auth, AuthMiddleware, Event, Settings
from czo_auth.deployment import settings_with_local_key
from czo_auth.integrations.starlette import principal_of, requires
from examples.shop import ORDERS, Shop

# Every setting can come from the environment too, for example CZO_AUTH_PORT or CZO_AUTH_DATABASE_URL.
settings = settings_with_local_key(
    Settings(
        data_dir=Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/starlette_host")),
        totp_issuer="The shop",
        scope_rule={"customer": ["orders:read", "orders:write"]},
    )
)
auth = Auth(settings)
shop = Shop(settings.data_dir / "czo-auth.db")


@auth.on("*")
def note(event: Event) -> None:
    """Called for every event; a plain function runs in a thread, a coroutine on the loop."""
    shop.note(event.id, event.type, event.user_id)


async def front_page(request: Request) -> JSONResponse:
    """For everyone; it may know who looks."""
    visitor = principal_of(request)
    return JSONResponse({"shop": "open", "you": visitor.user_id if visitor else None})


async def newsletter(_: Request) -> JSONResponse:
    """For everyone too."""
    return JSONResponse({"subscribed": True})


def activity(_: Request) -> JSONResponse:
    """What the subscriber has noted."""
    return JSONResponse(shop.activity())


@requires(scopes=["orders:read"])
async def orders(request: Request) -> JSONResponse:
    """For sessions, and for API keys with the scope `orders:read`."""
    reader = principal_of(request)
    assert reader is not None
    return JSONResponse({"orders": ORDERS, "for": reader.user_id, "by": reader.kind})


@requires(actor="admin", aal=2)
def customers(_: Request) -> JSONResponse:
    """For administrators who have proved a second factor. The shop's own users' table is as it ever was."""
    return JSONResponse({"customers": shop.users()})


@requires(scopes=["orders:read"])
async def live_orders(socket: WebSocket) -> None:
    """The same over a WebSocket; a refused handshake gets the same JSON error."""
    await socket.accept()
    await socket.send_json({"orders": len(ORDERS)})
    await socket.close()


@asynccontextmanager
async def own_lifespan(_: Starlette) -> AsyncIterator[None]:
    """What the shop itself does around its life; here its tables go into czo-auth's database file."""
    shop.open()
    yield


app = Starlette(
    routes=[
        Mount("/api/auth", auth.app),
        Route("/", front_page),
        Route("/newsletter", newsletter, methods=["POST"]),
        Route("/activity", activity),
        Route("/orders", orders),
        Route("/admin/customers", customers),
        WebSocketRoute("/orders/live", live_orders),
    ],
    middleware=[Middleware(AuthMiddleware, auth=auth)],
    lifespan=auth.lifespan(own_lifespan),
)
