"""A shop on Django that lets czo-auth look after accounts, second factors and API keys."""

from __future__ import annotations

import os
from pathlib import Path

import django
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from czo_auth import Auth, Event, Settings
from czo_auth.deployment import settings_with_local_key
from czo_auth.integrations.django import requires, with_auth
from examples.shop import ORDERS, Shop

# Every setting can come from the environment too, for example CZO_AUTH_PORT or CZO_AUTH_DATABASE_URL.
settings = settings_with_local_key(
    Settings(
        data_dir=Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/django_host")),
        totp_issuer="The shop",
        scope_rule={"customer": ["orders:read", "orders:write"]},
    )
)
auth = Auth(settings)
shop = Shop(settings.data_dir / "shop.db")
shop.open()

# A project has these lines in its settings.py. Django's own users (django.contrib.auth) may stay, for its admin.
django_settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["czo_auth.integrations.django.principal_middleware"],
    ROOT_URLCONF=__name__,
)
django.setup()


@auth.on("*")
def note(event: Event) -> None:
    """Called for every event; a plain function runs in a thread, a coroutine on the loop."""
    shop.note(event.id, event.type, event.user_id)


def front_page(request: HttpRequest) -> JsonResponse:
    """For everyone; it may know who looks."""
    visitor = request.czo_principal
    return JsonResponse({"shop": "open", "you": visitor.user_id if visitor else None})


def newsletter(_: HttpRequest) -> JsonResponse:
    """For everyone too."""
    return JsonResponse({"subscribed": True})


def activity(_: HttpRequest) -> JsonResponse:
    """What the subscriber has noted."""
    return JsonResponse(shop.activity(), safe=False)


@requires(scopes=["orders:read"])
async def orders(request: HttpRequest) -> JsonResponse:
    """For sessions, and for API keys with the scope `orders:read`."""
    reader = request.czo_principal
    return JsonResponse({"orders": ORDERS, "for": reader.user_id, "by": reader.kind})


@requires(actor="admin", aal=2)
def customers(_: HttpRequest) -> JsonResponse:
    """For administrators who have proved a second factor. The shop's own users' table is as it ever was."""
    return JsonResponse({"customers": shop.users()})


urlpatterns = [
    path("", front_page),
    path("newsletter", newsletter),
    path("activity", activity),
    path("orders", orders),
    path("admin/customers", customers),
]
# A project has this line in its asgi.py.
app = with_auth(get_asgi_application(), auth)
