"""Requests from different addresses, to a host behind a proxy."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from czo_auth.asgi.authentication import PRINCIPAL

PROXY = "127.0.0.1"
"""Where requests within the test's process come from."""
OFFICE, STREET = "192.0.2.7", "198.51.100.9"


def via(*addresses: str) -> dict[str, str]:
    """Say what a proxy says of the addresses that a request came through."""
    return {"x-forwarded-for": ", ".join(addresses)}


async def host(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 200 to known callers, 401 to others."""
    status = 401 if scope["state"][PRINCIPAL] is None else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})
