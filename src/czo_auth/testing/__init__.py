"""
For the tests of applications that use czo-auth: signed-in clients, API keys, a clock that moves, mails and events.

With pytest, define a fixture ``auth_under_test`` that gives ``(app, auth)``, and use ``auth_host``:

>>> async def test_orders_are_for_customers(auth_host: AuthHost) -> None:
...     ada = await auth_host.person()
...     assert (await ada.client.get("/orders")).status_code == 200

Without pytest, ``hosted`` is a context manager that gives the same. Both put a new SQLite database behind *auth*
for as long as they last, and hash with next to no work; a deployment in production is refused.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from czo_auth.testing.clock import MovableClock
    from czo_auth.testing.host import AuthHost, hosted
    from czo_auth.testing.people import Machine, Person

_HOMES = {
    "AuthHost": "host",
    "Machine": "people",
    "MovableClock": "clock",
    "Person": "people",
    "hosted": "host",
}
__all__ = ["AuthHost", "Machine", "MovableClock", "Person", "hosted"]


def __getattr__(name: str) -> Any:
    from czo_auth.extras import require_extra

    # The plugin is loaded by every pytest on the machine: it costs nothing until a fixture is asked for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_extra("testing", "czo_auth.testing")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
