"""
czo-auth: two-factor authentication for people, API keys for machines.

A host application mounts ``Auth``, configures it with ``Settings``, and guards its own routes with ``AuthMiddleware``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from czo_auth.api.users import UserRecord
    from czo_auth.asgi.authentication import AuthMiddleware
    from czo_auth.auth import Auth
    from czo_auth.brand import Brand
    from czo_auth.core.actors import ActorType
    from czo_auth.core.api_keys.key import ApiKey
    from czo_auth.core.errors import Refusal
    from czo_auth.core.events.types import Event
    from czo_auth.core.flows.api_keys.new_key import CreatedApiKey
    from czo_auth.core.organizations.organization import Member, Organization
    from czo_auth.core.paging import Page
    from czo_auth.core.principal import Principal
    from czo_auth.core.sessions.session import Session
    from czo_auth.errors import StartRefused
    from czo_auth.settings import Settings
    from czo_auth.user_fields import server_only

_HOMES = {
    "ApiKey": "czo_auth.core.api_keys.key",
    "CreatedApiKey": "czo_auth.core.flows.api_keys.new_key",
    "Member": "czo_auth.core.organizations.organization",
    "Organization": "czo_auth.core.organizations.organization",
    "Page": "czo_auth.core.paging",
    "Session": "czo_auth.core.sessions.session",
    "UserRecord": "czo_auth.api.users",
    "ActorType": "czo_auth.core.actors",
    "Auth": "czo_auth.auth",
    "AuthMiddleware": "czo_auth.asgi.authentication",
    "Brand": "czo_auth.brand",
    "Event": "czo_auth.core.events.types",
    "Principal": "czo_auth.core.principal",
    "Refusal": "czo_auth.core.errors",
    "Settings": "czo_auth.settings",
    "server_only": "czo_auth.user_fields",
    "StartRefused": "czo_auth.errors",
}
__all__ = [
    "ActorType",
    "ApiKey",
    "Auth",
    "AuthMiddleware",
    "Brand",
    "CreatedApiKey",
    "Event",
    "Member",
    "Organization",
    "Page",
    "Principal",
    "Refusal",
    "Session",
    "Settings",
    "StartRefused",
    "UserRecord",
    "server_only",
]


def __getattr__(name: str) -> Any:
    # Names are imported on first use, because the command line needs few of them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    # Lazily imported names are public too.
    return sorted({*globals(), *__all__})
