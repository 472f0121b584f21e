"""A shop on Flask that lets czo-auth look after accounts, second factors and API keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask

from czo_auth import Auth, Event, Settings
from czo_auth.deployment import settings_with_local_key
from czo_auth.integrations.flask import principal_of, requires, with_auth
from examples.shop import ORDERS, Shop

# Every setting can come from the environment too, for example CZO_AUTH_PORT or CZO_AUTH_DATABASE_URL.
settings = settings_with_local_key(
    Settings(
        data_dir=Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/flask_host")),
        totp_issuer="The shop",
        scope_rule={"customer": ["orders:read", "orders:write"]},
    )
)
auth = Auth(settings)
shop = Shop(settings.data_dir / "shop.db")
shop.open()
flask_app = Flask("shop")


@auth.on("*")
def note(event: Event) -> None:
    """Called for every event, in a thread."""
    shop.note(event.id, event.type, event.user_id)


@flask_app.get("/")
def front_page() -> dict[str, str | None]:
    """For everyone; it may know who looks."""
    visitor = principal_of()
    return {"shop": "open", "you": visitor.user_id if visitor else None}


@flask_app.post("/newsletter")
def newsletter() -> dict[str, bool]:
    """For everyone too."""
    return {"subscribed": True}


@flask_app.get("/activity")
def activity() -> list[str]:
    """What the subscriber has noted."""
    return shop.activity()


@flask_app.get("/orders")
@requires(scopes=["orders:read"])
def orders() -> dict[str, Any]:
    """For sessions, and for API keys with the scope `orders:read`."""
    reader = principal_of()
    assert reader is not None
    return {"orders": ORDERS, "for": reader.user_id, "by": reader.kind}


@flask_app.get("/admin/customers")
@requires(actor="admin", aal=2)
def customers() -> dict[str, Any]:
    """For administrators who have proved a second factor. The shop's own users' table is as it ever was."""
    return {"customers": shop.users()}


app = with_auth(flask_app, auth)
