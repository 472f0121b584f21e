"""
Where a webhook may be sent: https, and addresses that are reachable from everywhere (S41).

An endpoint's host is chosen by strangers. A request to it must not reach what only this machine can reach: loopback,
private networks, a cloud's metadata service. Literal addresses are refused when an endpoint is created; names are
resolved for each connection, which goes to exactly the address that was checked.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_WEBHOOK_URL

# Only URLs that all parsers read the same way: no userinfo, no escapes in the host, no backslash, no fragment.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:[/?][!-\"$-\[\]-~]*)?)",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# The last label of what a resolver or a URL parser may read as an IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_DOMAINS: Final = frozenset(
    {"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp"}
)
_LOCAL_SUFFIXES: Final = (".home.arpa", ".in-addr.arpa", ".ip6.arpa")

# Source: WHATWG Fetch, "bad port". Ports of services that must not be sent text that a stranger chose.
BAD_PORTS: Final = frozenset(
    {
        0,
        1,
        7,
        9,
        11,
        13,
        15,
        17,
        19,
        20,
        21,
        22,
        23,
        25,
        37,
        42,
        43,
        53,
        69,
        77,
        79,
        87,
        95,
        101,
        102,
        103,
        104,
    }
    | {
        109,
        110,
        111,
        113,
        115,
        117,
        119,
        123,
        135,
        137,
        139,
        143,
        161,
        179,
        389,
        427,
        465,
        512,
        513,
        514,
        515,
    }
    | {526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049}
    | {3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)

# Source: IANA special-purpose address registries; written out, as `is_global` differs between versions of Python.
_NOT_GLOBAL_4: Final = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("168.63.129.16/32", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
# Beyond these only 2000::/3 is global unicast. 6to4 and Teredo lead into IPv4 through relays of others: never.
_NOT_GLOBAL_6: Final = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Source: RFC 4291 section 2.5.5.2 (mapped), RFC 6052 (NAT64). The IPv4 address is the last 32 bits.
_CARRIES_IPV4: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
# Source: RFC 5214 section 6.1; the middle of an interface identifier that carries an IPv4 address.
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """
    Where an endpoint's requests go.

    Attributes:
        host: In lower case; without brackets where it is an IPv6 address.
        target: Path and query.
        trusted: Whether the operator named the host, so that its addresses are not checked.
    """

    scheme: str
    host: str
    port: int
    target: str
    trusted: bool


def parse_destination(url: str, *, allowed_hosts: Collection[str]) -> Destination:
    """
    Read the address of an endpoint.

    Args:
        allowed_hosts: Hosts, without port, that are used over http too and at any address.

    Raises:
        ValidationFailed: It is not an https URL or too long, or names a literal address, this machine, or a bad port.
    """
    if len(url) > MAX_WEBHOOK_URL:
        raise _refused(f"At most {MAX_WEBHOOK_URL} characters.")
    if not url.isascii():
        raise _refused("This must be ASCII: write the host with xn--, and escape the rest with %.")
    found = _URL.fullmatch(url)
    if found is None:
        raise _refused("This must be an https URL, without a user name and without a fragment.")
    scheme, host = found["scheme"].lower(), found["host"].lower()
    bare = host.removeprefix("[").removesuffix("]")
    trusted = bare in allowed_hosts
    port = int(found["port"]) if found["port"] else {"http": 80, "https": 443}[scheme]
    if not 0 < port < 65536:
        raise _refused("This port does not exist.")
    if not trusted:
        _check_public(scheme, host, port)
    target = found["target"]
    return Destination(
        scheme=scheme,
        host=bare,
        port=port,
        target=target if target.startswith("/") else f"/{target}",
        trusted=trusted,
    )


def host_of(url: str) -> str:
    """Return the host of an endpoint's address, for places that must not show its path, which may be a secret."""
    found = _URL.fullmatch(url)
    return found["host"].lower() if found is not None else ""


def is_global_address(text: str) -> bool:
    """
    Whether *text* is an address that is reachable from everywhere, also where it carries another one.

    Returns:
        False for anything that is not an address.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return _is_global_4(address) if isinstance(address, IPv4Address) else _is_global_6(address)


def _check_public(scheme: str, host: str, port: int) -> None:
    if scheme != "https":
        raise _refused("This must begin with https://.")
    if host.startswith("[") or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise _refused("This must name a host, not an address.")
    if not _is_public_name(host):
        raise _refused("This host cannot be reached from everywhere.")
    if port in BAD_PORTS:
        raise _refused("This port belongs to another service.")


def _is_public_name(host: str) -> bool:
    labels = host.split(".")
    return (
        len(labels) > 1
        and all(_LABEL.fullmatch(label) for label in labels)
        and labels[-1] not in _LOCAL_DOMAINS
        and not host.endswith(_LOCAL_SUFFIXES)
    )


def _is_global_4(address: IPv4Address) -> bool:
    return not any(address in network for network in _NOT_GLOBAL_4)


def _is_global_6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    value = int(address)
    if any(address in network for network in _CARRIES_IPV4):
        return _is_global_4(IPv4Address(value & 0xFFFFFFFF))
    if (value >> 32) & 0xFFFFFFFF in _ISATAP and not _is_global_4(IPv4Address(value & 0xFFFFFFFF)):
        return False
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_GLOBAL_6)


def _refused(sentence: str) -> ValidationFailed:
    return ValidationFailed(details=(("url", sentence),))
