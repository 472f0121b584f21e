"""
For the tests of applications that use czo-auth: signed-in clients, API keys, a clock that moves, mails and events.

With pytest, define a fixture ``auth_under_test`` that gives ``(app, auth)``, and use ``auth_host``:

>>> async def test_orders_are_for_customers(auth_host: AuthHost) -> None:
...     ada = await auth_host.person()
...     assert (await ada.client.get("/orders")).status_code == 200

Without pytest, ``hosted`` is a context manager that gives the same. Both give *auth* a new SQLite database while they
last, and hash at almost no cost; a deployment in production is refused.

``MovableClock``, ``Mailbox`` and ``AuthenticatorApp`` also work alone, with an ``Auth`` of your own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from czo_auth.testing.authenticator_app import AuthenticatorApp
    from czo_auth.testing.clock import MovableClock
    from czo_auth.testing.host import AuthHost, hosted
    from czo_auth.testing.mailbox import Mailbox
    from czo_auth.testing.people import Machine, Person

_HOMES = {
    "AuthHost": "host",
    "AuthenticatorApp": "authenticator_app",
    "Machine": "people",
    "Mailbox": "mailbox",
    "MovableClock": "clock",
    "Person": "people",
    "hosted": "host",
}
__all__ = ["AuthHost", "AuthenticatorApp", "Machine", "Mailbox", "MovableClock", "Person", "hosted"]


def __getattr__(name: str) -> Any:
    from czo_auth.extras import require_extra

    # Every pytest run where czo-auth is installed loads the plugin: it costs nothing until a fixture is requested.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_extra("testing", "czo_auth.testing")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
