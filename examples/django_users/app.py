"""
Django with users of its own, linked to czo-auth's accounts by id.

The project goes on with its foreign keys to ``auth_user``; who somebody is comes from czo-auth. A Django user is made
when an account is first seen: by the subscriber, or by the first request if that is earlier.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.http import HttpRequest, JsonResponse
from django.urls import path

from czo_auth import Auth, Event, Settings
from czo_auth.deployment import settings_with_local_key
from czo_auth.integrations.django import requires, with_auth

if TYPE_CHECKING:
    from django.contrib.auth.models import User

settings = settings_with_local_key(
    Settings(data_dir=Path(os.environ.get("CZO_AUTH_DATA_DIR", ".czo-auth/django_users")))
)
auth = Auth(settings)
django_settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": settings.data_dir / "project.sqlite3"}
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    MIDDLEWARE=["czo_auth.integrations.django.principal_middleware"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
)
django.setup()
call_command("migrate", verbosity=0)


def user_of(account_id: str) -> User:
    """Return the Django user of an account; its name is the account's id, which never changes."""
    from django.contrib.auth.models import User

    # No password of Django's: nobody signs in past czo-auth.
    user, _ = User.objects.get_or_create(username=account_id, defaults={"password": "!"})
    return user


@auth.on("auth.user.registered")
def make_user(event: Event) -> None:
    """Make the Django user as soon as the account is there; may be called again with the same event."""
    if event.user_id is not None:
        user_of(event.user_id)


@auth.on("auth.user.deleted")
def forget_user(event: Event) -> None:
    """Keep the row, which others refer to, and nothing of the person."""
    from django.contrib.auth.models import User

    User.objects.filter(username=event.user_id).update(is_active=False, email="", first_name="", last_name="")


def front_page(_: HttpRequest) -> JsonResponse:
    """For everyone."""
    return JsonResponse({"shop": "open"})


@requires()
def profile(request: HttpRequest) -> JsonResponse:
    """The Django user of the caller: what the project's own models refer to."""
    caller: Any = request.czo_principal
    user = user_of(caller.user_id)
    return JsonResponse({"djangoId": user.pk, "accountId": user.username, "active": user.is_active})


urlpatterns = [path("", front_page), path("profile", profile)]
app = with_auth(get_asgi_application(), auth)
