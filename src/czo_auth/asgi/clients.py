"""The client of a request: its address behind trusted proxies, and its user agent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from datetime import datetime

from starlette.types import Scope

from czo_auth.core.context import Context
from czo_auth.core.ids import new_id
from czo_auth.core.text import escape_control
from czo_auth.runtime.telemetry import REQUEST_ID

_ELEMENT = re.compile(r"\[([^\]]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+(?:%.*)?)")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Clients:
    """
    Finds the client of a request.

    Args:
        trusted_proxies: Addresses or networks; only a peer among them may say whom it forwards for (S25).
    """

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted: list[Network] = [ipaddress.ip_network(text, strict=False) for text in trusted_proxies]

    def context(self, scope: Scope, *, now: datetime) -> Context:
        """Describe the origin of a request, with everything user-supplied escaped (S29)."""
        agent = forwarded = request_id = None
        for name, value in scope["headers"]:
            if name == b"user-agent":
                agent = escape_control(value.decode("latin-1"), limit=256)
            elif name == b"x-forwarded-for":
                forwarded = f"{forwarded},{value.decode('latin-1')}" if forwarded else value.decode("latin-1")
            elif name == b"x-request-id":
                request_id = value.decode("latin-1")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = new_id(now)
        REQUEST_ID.set(request_id)
        return Context(now=now, ip=self.address(scope, forwarded), user_agent=agent, request_id=request_id)

    def address_of(self, scope: Scope) -> str | None:
        """Return the canonical address of the client; None if unknown."""
        forwarded = None
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                text = value.decode("latin-1")
                forwarded = f"{forwarded},{text}" if forwarded else text
        return self.address(scope, forwarded)

    def address(self, scope: Scope, forwarded: str | None) -> str | None:
        """
        Return the nearest address that is not a trusted proxy, walking ``X-Forwarded-For`` from the right.

        The left end is written by the client and not trusted.
        """
        client = scope.get("client")
        peer = _readable(str(client[0])) if client else None
        if forwarded is None or peer is None or not self.is_trusted(peer):
            return peer
        for text in reversed([part.strip() for part in forwarded.split(",")]):
            if not text:
                continue
            address = _readable(_without_port(text))
            if address is None:
                return peer
            peer = address
            if not self.is_trusted(address):
                return address
        return peer

    def is_trusted(self, address: str) -> bool:
        """Whether *address* is a trusted proxy."""
        readable = _readable(address)
        return readable is not None and any(
            ipaddress.ip_address(readable) in network for network in self._trusted
        )


def _without_port(text: str) -> str:
    """Return the address in an element of ``X-Forwarded-For``: proxies add ports, brackets and quotation marks."""
    found = _ELEMENT.fullmatch(text.strip('"'))
    return text if found is None else next(filter(None, found.groups()))


def _readable(text: str | None) -> str | None:
    """
    Return the canonical spelling of an address, or None for anything else.

    The zone of a link-local address (``%eth0``) is dropped: it may be any text, and means nothing elsewhere.
    """
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Address(int(address)))
