"""A shop on FastAPI that lets czo-auth look after accounts, second factors and API keys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request, WebSocket

from czo_auth import Auth, AuthMiddleware, Event, Principal, Settings
from czo_auth.deployment import settings_with_local_key
from czo_auth.integrations.starlette import principal_of
from examples.shop import ORDERS, Shop

# Every setting can come from the environment too, for example CZO_AUTH_PORT or CZO_AUTH_DATABASE_URL.
settings = settings_with_local_key(
    Settings(
        data_dir=Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/fastapi_host")),
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


@asynccontextmanager
async def own_lifespan(_: FastAPI) -> AsyncIterator[None]:
    """What the shop itself does around its life; here its tables go into czo-auth's database file."""
    shop.open()
    yield


app = FastAPI(title="The shop", lifespan=auth.lifespan(own_lifespan))
app.mount("/api/auth", auth.app)
app.add_middleware(AuthMiddleware, auth=auth)

Reader = Annotated[Principal, Depends(auth.require(scopes=["orders:read"]))]
Administrator = Annotated[Principal, Depends(auth.require(actor="admin", aal=2))]


@app.get("/")
def front_page(request: Request) -> dict[str, str | None]:
    """For everyone; it may know who looks."""
    visitor = principal_of(request)
    return {"shop": "open", "you": visitor.user_id if visitor else None}


@app.post("/newsletter")
def newsletter() -> dict[str, bool]:
    """For everyone too."""
    return {"subscribed": True}


@app.get("/activity")
def activity() -> list[str]:
    """What the subscriber has noted."""
    return shop.activity()


@app.get("/orders")
def orders(reader: Reader) -> dict[str, object]:
    """For sessions, and for API keys with the scope `orders:read`."""
    return {"orders": ORDERS, "for": reader.user_id, "by": reader.kind}


@app.get("/admin/customers")
def customers(administrator: Administrator) -> dict[str, object]:
    """For administrators who have proved a second factor. The shop's own users' table is as it ever was."""
    return {"customers": shop.users(), "shown_to": administrator.user_id}


@app.websocket("/orders/live")
async def live_orders(socket: WebSocket, reader: Reader) -> None:
    """The same over a WebSocket; a refused handshake gets the same JSON error."""
    await socket.accept()
    await socket.send_json({"orders": len(ORDERS), "for": reader.user_id})
    await socket.close()
