"""
A protected resource: RFC 9728 metadata, and challenges that refer to it.

MCP clients discover this way what a server requires; any other API can use it too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from czo_auth.asgi.clients import Clients
from czo_auth.asgi.problems import refusal_of, send_refusal, status_of
from czo_auth.asgi.public_document import PublicDocument
from czo_auth.core.api_keys.scopes import SCOPE
from czo_auth.core.errors import Refusal

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


@dataclass(slots=True)
class GuardedRequest:
    """
    The request whose credential is being verified; frameworks do not pass it to the verifier.

    Attributes:
        address: The client's address; None if unknown.
        refusal: Why it is refused if the credential is not the reason, so that the response can say so.
    """

    address: str | None
    refusal: Refusal | None = None


GUARDED_REQUEST: ContextVar[GuardedRequest | None] = ContextVar("czo_auth_guarded_request", default=None)


class ProtectedResource:
    """
    One resource server, such as an MCP server, and what is needed to reach it.

    It is an ASGI application that responds with the metadata, to be routed at `path`; ``protect`` wraps an application
    with that and everything else.

    Args:
        resource: Its URL, as clients know it. If it is in ``CZO_AUTH_TOKEN_AUDIENCES``, it is the audience of tokens
            for it.
        scopes: What a credential needs to be admitted; challenges list all of them.
        issuer: The issuer of the tokens; clients find its metadata below it (RFC 8414).
        name: The name shown to people.
        trusted_proxies: Proxies whose ``X-Forwarded-For`` is trusted.

    Raises:
        ValueError: *resource* is not an absolute URL without a fragment, or a scope has another form.

    Source: RFC 9728; RFC 6750 section 3; the authorization chapter of the Model Context Protocol.
    """

    def __init__(
        self,
        resource: str,
        scopes: Collection[str] = (),
        *,
        issuer: str,
        name: str | None = None,
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        if isinstance(scopes, str):
            raise TypeError(f"scopes is a list of scopes, not one text: write scopes=[{scopes!r}]")
        for scope in scopes:
            if not SCOPE.fullmatch(scope):
                raise ValueError(f"{scope!r} is not a scope: scopes have the form resource:action")
        parts = urlsplit(resource)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.fragment or '"' in resource:
            raise ValueError(f"{resource!r} is not an absolute URL of a resource")
        self.resource = resource
        self.scopes = tuple(scopes)
        self.issuer = issuer
        self.name = name
        self.path = WELL_KNOWN + ("" if parts.path == "/" else parts.path)
        query = f"?{parts.query}" if parts.query else ""
        self.metadata_url = f"{parts.scheme}://{parts.netloc}{self.path}{query}"
        self._clients = Clients(trusted_proxies)
        self._document = PublicDocument(self.path, lambda: self.metadata)

    @cached_property
    def metadata(self) -> dict[str, object]:
        """The resource as RFC 9728 section 2 describes one."""
        described: dict[str, object] = {
            "resource": self.resource,
            "authorization_servers": [self.issuer],
            "bearer_methods_supported": ["header"],
        }
        if self.scopes:
            described["scopes_supported"] = list(self.scopes)
        if self.name is not None:
            described["resource_name"] = self.name
        return described

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._document(scope, receive, send)

    def protect(self, app: ASGIApp) -> ASGIApp:
        """
        Wrap *app*, which verifies credentials itself: by ``token_verifier`` or ``AuthMiddleware``.

        The metadata is answered, 401 and 403 name it and the scopes, keys with an allow-list see the client's address,
        and an outage is answered 503, a key over its limit 429, instead of 401.
        """
        return _Protected(app, self, self._clients)

    def complete(self, challenge: bytes) -> bytes:
        """Add ``resource_metadata`` and ``scope`` to a ``WWW-Authenticate`` of the scheme Bearer that lacks them."""
        wanted = {b"resource_metadata": self.metadata_url, b"scope": " ".join(self.scopes)}
        added = [
            name + b'="' + value.encode() + b'"'
            for name, value in wanted.items()
            if value and name + b"=" not in challenge
        ]
        if not added:
            return challenge
        separator = b", " if b"=" in challenge else b" "
        return challenge.rstrip() + separator + b", ".join(added)


class _Protected:
    """An application within a protected resource."""

    def __init__(self, app: ASGIApp, resource: ProtectedResource, clients: Clients) -> None:
        self._app = app
        self._resource = resource
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["path"] == self._resource.path:
            return await self._resource(scope, receive, send)
        request = GuardedRequest(self._clients.address_of(scope))
        begun = replaced = False

        async def send_completed(message: Message) -> None:
            nonlocal begun, replaced
            if message["type"] == "http.response.start":
                begun = True
                if message["status"] in (401, 403):
                    replaced = request.refusal is not None
                    message = {**message, "headers": self._completed(message["headers"])}
                if replaced and request.refusal is not None:
                    await self._refuse(send, request.refusal)
            if not replaced:
                await send(message)

        token = GUARDED_REQUEST.set(request)
        try:
            await self._app(scope, receive, send_completed)
        except Refusal as refusal:
            if begun:
                raise
            await self._refuse(send, refusal)
        finally:
            GUARDED_REQUEST.reset(token)

    async def _refuse(self, send: Send, refusal: Refusal) -> None:
        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (401, 403):
                message = {**message, "headers": self._completed(message["headers"])}
            await send(message)

        await send_refusal(send_completed, refusal)

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Complete the challenge; a response without one gets a minimal one."""
        found = [(name.lower(), value) for name, value in headers]
        if not any(_is_challenge(name, value) for name, value in found):
            found.append((b"www-authenticate", b"Bearer"))
        return [
            (name, self._resource.complete(value) if _is_challenge(name, value) else value)
            for name, value in found
        ]


def defer_refusal(error: Exception) -> None:
    """
    Record for the response why a verifier refuses, if the credential is not the reason.

    Raises:
        Refusal: There is no `ProtectedResource` around the application; a fault is better than a wrong verdict.
    """
    refusal = refusal_of(error)
    if status_of(refusal) == 401:
        return
    request = GUARDED_REQUEST.get()
    if request is None:
        raise refusal
    request.refusal = refusal


def _is_challenge(name: bytes, value: bytes) -> bool:
    return name == b"www-authenticate" and value[:6].lower() == b"bearer"
