"""A shop on Litestar that lets czo-auth look after accounts, second factors and API keys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, get, post

from czo_auth import Auth, AuthMiddleware, Event, Settings
from czo_auth.deployment import settings_with_local_key
from czo_auth.integrations.litestar import CzoAuth, principal_of, requires
from examples.shop import ORDERS, Shop

# Every setting can come from the environment too, for example CZO_AUTH_PORT or CZO_AUTH_DATABASE_URL.
settings = settings_with_local_key(
    Settings(
        data_dir=Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/litestar_host")),
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


@get("/")
async def front_page(request: Request[Any, Any, Any]) -> dict[str, str | None]:
    """For everyone; it may know who looks."""
    visitor = principal_of(request)
    return {"shop": "open", "you": visitor.user_id if visitor else None}


@post("/newsletter", status_code=200)
async def newsletter() -> dict[str, bool]:
    """For everyone too."""
    return {"subscribed": True}


@get("/activity", sync_to_thread=True)
def activity() -> list[str]:
    """What the subscriber has noted."""
    return shop.activity()


@get("/orders", guards=[requires(scopes=["orders:read"])])
async def orders(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """For sessions, and for API keys with the scope `orders:read`."""
    reader = principal_of(request)
    assert reader is not None
    return {"orders": ORDERS, "for": reader.user_id, "by": reader.kind}


@get("/admin/customers", guards=[requires(actor="admin", aal=2)], sync_to_thread=True)
def customers() -> dict[str, Any]:
    """For administrators who have proved a second factor. The shop's own users' table is as it ever was."""
    return {"customers": shop.users()}


@asynccontextmanager
async def own_lifespan(_: Litestar) -> AsyncIterator[None]:
    """What the shop itself does around its life; here its tables go into czo-auth's database file."""
    await auth.start()
    shop.open()
    yield


host = Litestar(
    [front_page, newsletter, activity, orders, customers],
    plugins=[CzoAuth(auth)],
    lifespan=[own_lifespan],
)
app = AuthMiddleware(host, auth=auth)  # type: ignore[arg-type]
