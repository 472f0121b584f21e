"""A service that knows nothing of czo-auth: it shows what nginx tells it about the caller."""

from __future__ import annotations

import json
from typing import Any

NAMES = ("x-auth-kind", "x-auth-user", "x-auth-scopes", "authorization")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with the headers that name the caller."""
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = json.dumps({name: headers.get(name) for name in NAMES}).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": body})
