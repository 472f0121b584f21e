"""A JSON document that anybody may read from any page, at a well-known path of the host's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from czo_auth.asgi.problems import NO_SNIFF, send_refusal
from czo_auth.core.errors import MethodNotAllowed


class PublicDocument:
    """
    An ASGI application that answers one document, to be routed at `path` or put around the host's application.

    >>> app.add_route(document.path, document)
    >>> app = document.around(app)

    Args:
        path: Where clients look for it, from the root of the host.
        describe: What it says.
    """

    def __init__(self, path: str, describe: Callable[[], Mapping[str, object]]) -> None:
        self.path = path
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("this document is served over HTTP only")
        if scope["method"] == "OPTIONS":
            await _send(send, 204, b"", [(b"access-control-allow-methods", b"GET")])
        elif scope["method"] in ("GET", "HEAD"):
            body = json.dumps(self._describe()).encode()
            await _send(send, 200, body, [(b"content-type", b"application/json")])
        else:
            await send_refusal(send, MethodNotAllowed(), extra=[(b"allow", b"GET, HEAD, OPTIONS")])

    def around(self, app: ASGIApp) -> ASGIApp:
        """Answer the document at its path, and leave everything else to *app*: any ASGI application, guarded or not."""

        async def answering(scope: Scope, receive: Receive, send: Send) -> None:
            is_asked = scope["type"] == "http" and scope["path"] == self.path
            await (self if is_asked else app)(scope, receive, send)

        return answering


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    # Clients in browsers read it before they have anything to send.
    common = [
        (b"content-length", str(len(body)).encode()),
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-headers", b"*"),
        (b"cache-control", b"public, max-age=300"),
        NO_SNIFF,
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *common]})
    await send({"type": "http.response.body", "body": body})
