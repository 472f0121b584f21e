"""
Early checks of what a host passes to a deployment, and of what its settings need.

Otherwise a mistake would only show with the first mail or event, in production.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from czo_auth.extras import require_extra
from czo_auth.settings import Settings


def check_host_objects(*, mail: object, sinks: Iterable[object]) -> None:
    """
    Refuse objects of the host that could not be used.

    Raises:
        TypeError: A method is missing, not ``async``, or takes no argument.
    """
    if mail is not None:
        _demand_coroutine(mail, "send", "the message")
    for sink in sinks:
        _demand_coroutine(sink, "deliver", "the event")
        if not isinstance(getattr(sink, "name", None), str):
            raise TypeError(f"{_kind(sink)} needs a name, its place in the outbox")


def refuse_missing_extras(settings: Settings) -> None:
    """
    Refuse settings whose packages are not installed.

    Raises:
        MissingExtra: The sentence names the setting and how to install what it needs.
    """
    asked = {
        "CZO_AUTH_RATE_LIMIT_URL": ("redis", settings.rate_limit_url),
        "CZO_AUTH_PWNED_PASSWORDS_URL": ("pwned", settings.pwned_passwords_url),
        "CZO_AUTH_RABBITMQ_URL": ("rabbitmq", settings.rabbitmq_url),
        "CZO_AUTH_NATS_URL": ("nats", settings.nats_url),
        "CZO_AUTH_WEBHOOK_ALLOWED_HOSTS": ("webhooks", settings.webhook_allowed_hosts or None),
        "CZO_AUTH_PASSKEY_RP_ID": ("passkeys", settings.passkey_rp_id),
        "CZO_AUTH_METRICS_ENABLED": ("metrics", settings.metrics_enabled or None),
    }
    for setting, (extra, value) in asked.items():
        if value is not None:
            require_extra(extra, setting)
    for actor in settings.actor_types:
        if actor.two_factor == "phishing_resistant":
            require_extra("passkeys", f"The actor type {actor.name!r}, which demands a passkey,")


def settings_from(settings: Settings | None, chosen: Mapping[str, Any]) -> Settings:
    """
    Return *settings*, or make them from keyword arguments and the environment.

    Raises:
        TypeError: Both were given, or there is no setting of that name.
    """
    for name in chosen:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"no setting is called {name!r}{hint}")
    if settings is None:
        return Settings(**chosen)
    if chosen:
        raise TypeError(f"{', '.join(chosen)} belongs in the Settings that Auth was given")
    if not isinstance(settings, Settings):
        raise TypeError(f"Auth takes a Settings object or keyword arguments, not {_kind(settings)}")
    return settings


def _demand_coroutine(thing: object, method: str, argument: str) -> None:
    name = f"{_kind(thing)}.{method}"
    found = getattr(thing, method, None)
    plain = found.func if isinstance(found, partial) else found
    call = getattr(plain, "__call__", None)  # noqa: B004 - its kind is asked for, not whether it exists
    if not inspect.iscoroutinefunction(plain) and not inspect.iscoroutinefunction(call):
        raise TypeError(f"{name} has to exist and be declared with `async def`")
    try:
        inspect.signature(found).bind(None)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} has to take one argument, {argument}") from None


def _kind(thing: object) -> str:
    return type(thing).__qualname__
