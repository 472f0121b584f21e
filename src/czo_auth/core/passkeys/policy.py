"""The rules of a deployment about passkeys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Final

from czo_auth.core.origins import canonical_origin, host_of, is_loopback, origin_pattern, port_of

LOCALHOST: Final = "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyPolicy:
    """
    Attributes:
        rp_id: The relying party id; None where passkeys are not available.
        rp_name: What authenticators show beside it.
        origins: Regular expression of the origins whose pages may use passkeys.
        ceremony_lifetime: How long a ceremony may be answered.

    Source: WebAuthn Level 3, sections 5.1.2 and 13.4.9.
    """

    rp_id: str | None = None
    rp_name: str = "czo-auth"
    origins: str = r"(?!)"
    ceremony_lifetime: timedelta = timedelta(minutes=5)

    def accepts_origin(self, origin: str) -> bool:
        """Whether pages of *origin* may use this deployment's passkeys."""
        if re.fullmatch(self.origins, origin) is None:
            return False
        host = host_of(origin)
        if self.rp_id == LOCALHOST and is_loopback(host):
            return True
        return self.rp_id is not None and is_within(host, self.rp_id)


def passkey_origins(public_url: str, trusted: Iterable[str]) -> str:
    """
    Write the regular expression of the origins whose pages may use a deployment's passkeys.

    That is the public one, the trusted ones (which the relying party id narrows), and at a loopback address
    ``localhost`` on the same port: passkeys cannot belong to an address.
    """
    own = canonical_origin(public_url) or public_url
    origins = [own, *trusted]
    if is_loopback(host_of(own)):
        origins.append(f"{own.partition('://')[0]}://{LOCALHOST}:{port_of(own)}")
    return "|".join(map(origin_pattern, origins))


def is_ip_address(host: str) -> bool:
    """Whether *host* is an address rather than a name; passkeys cannot belong to one."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_within(host: str, rp_id: str) -> bool:
    """Whether pages of *host* may use the relying party id *rp_id*: its own name, or one above it."""
    return host == rp_id or (host.endswith(f".{rp_id}") and not is_ip_address(host))
