"""One client of a deployment: no cookie jar and no memory, so a test says everything that it sends."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

BASE = "/api/auth"
SESSION_COOKIE = "better-auth.session_token"
CHALLENGE_COOKIE = "better-auth.two_factor"
DEVICE_COOKIE = "better-auth.trust_device"

Answer = httpx.Response
NO_BODY = object()
OWN_ORIGIN = "own"


# Reading the system's certificates takes longer than most requests, and nothing here is asked over TLS.
TLS = ssl.create_default_context()


def new_client(url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """Make an HTTP client that keeps no cookies and, like a machine's, sends no header of a browser."""
    http = httpx.AsyncClient(
        transport=transport,
        base_url=url,
        timeout=60,
        trust_env=False,
        verify=TLS,
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
    )
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http


@dataclass(frozen=True)
class Api:
    """
    Calls the product below its base path.

    A call that carries cookies is sent as a page of the deployment's own origin would send it, unless *origin* says
    otherwise; None leaves the header out.
    """

    http: httpx.AsyncClient

    async def call(
        self,
        method: str,
        path: str,
        body: object = NO_BODY,
        *,
        bearer: str | None = None,
        cookies: Mapping[str, str] | None = None,
        origin: str | None = OWN_ORIGIN,
        headers: Mapping[str, str] | None = None,
        raw: bytes | AsyncIterator[bytes] | None = None,
    ) -> Answer:
        sent: dict[str, str] = {}
        content = raw
        if body is not NO_BODY:
            content = json.dumps(body).encode()
        if content is not None:
            sent["content-type"] = "application/json"
        if bearer is not None:
            sent["authorization"] = f"Bearer {bearer}"
        if cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if origin == OWN_ORIGIN:
            origin = self.origin if cookies else None
        if origin is not None:
            sent["origin"] = origin
        sent |= headers or {}
        return await self.http.request(method, BASE + path, content=content, headers=sent)

    @property
    def origin(self) -> str:
        return str(self.http.base_url).rstrip("/")

    async def get(self, path: str, **how: Any) -> Answer:
        return await self.call("GET", path, **how)

    async def post(self, path: str, body: object = NO_BODY, **how: Any) -> Answer:
        return await self.call("POST", path, body, **how)

    async def patch(self, path: str, body: object = NO_BODY, **how: Any) -> Answer:
        return await self.call("PATCH", path, body, **how)

    async def delete(self, path: str, body: object = NO_BODY, **how: Any) -> Answer:
        return await self.call("DELETE", path, body, **how)


@dataclass(frozen=True)
class SetCookie:
    """One `Set-Cookie` header, read."""

    name: str
    value: str
    attributes: dict[str, str]


def cookies_set_by(answer: Answer) -> dict[str, SetCookie]:
    """Read the cookies that *answer* sets or clears, by name; a name that comes twice is a fault."""
    found: dict[str, SetCookie] = {}
    for header in answer.headers.get_list("set-cookie"):
        first, *rest = [part.strip() for part in header.split(";")]
        name, _, value = first.partition("=")
        assert name not in found, f"{name} is set twice"
        pairs = [part.partition("=") for part in rest]
        found[name] = SetCookie(name, value, {key.lower(): text for key, _, text in pairs})
    return found
