"""
The rate limit headers of an API key.

Source: draft-ietf-httpapi-ratelimit-headers-11 sections 3 and 4, RFC 9651 (Structured Fields).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from starlette.types import Message, Send

from czo_auth.core.limit_report import LimitReport

LIMITS: Final = "czo_auth.limits"
"""Key in the ASGI scope's ``state`` for the limits of the key that a request was admitted with."""


def limit_fields(report: LimitReport) -> tuple[str, str]:
    """
    Return the values of ``RateLimit-Policy`` (what is allowed) and ``RateLimit`` (what is left).

    The units are the draft's: requests and seconds.
    """
    policies = ", ".join(f'"{one.name}";q={one.maximum};w={one.window_seconds}' for one in report.policies)
    remaining = ", ".join(f'"{one.name}";r={one.count};t={one.seconds}' for one in report.remaining)
    return policies, remaining


def limit_headers(report: LimitReport) -> list[tuple[bytes, bytes]]:
    """Return both headers."""
    policies, remaining = limit_fields(report)
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", remaining.encode())]


def add_limit_headers(send: Send, report: LimitReport) -> Send:
    """Return a *send* that adds the headers to the answer."""

    def send_with_limits(message: Message) -> Awaitable[None]:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            message = {**message, "headers": [*message.get("headers", ()), *limit_headers(report)]}
        return send(message)

    return send_with_limits
