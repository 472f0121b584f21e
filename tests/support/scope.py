"""ASGI scopes as a server makes them, for requests that no client would send as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote


def http_scope(
    method: str,
    path: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    client: str = "127.0.0.1",
    host: str = "localhost",
) -> dict[str, Any]:
    """
    Return the scope of a request without a query.

    Args:
        path: As the client wrote it, percent encoding included.
        client: The address that it comes from.
        host: The server's name.

    Source: ASGI specification 3.0, HTTP connection scope.
    """
    return {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", host.encode()), *headers],
        "client": (client, 1),
        "server": (host, 80),
        "scheme": "http",
        "http_version": "1.1",
    }
