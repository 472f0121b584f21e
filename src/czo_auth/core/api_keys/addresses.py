"""The addresses that a key may be used from, in canonical form and compared as networks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from typing import Final

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.limits import MAX_ADDRESS, MAX_ADDRESSES

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_SHOWN_IPV4_BITS: Final = 24
_SHOWN_IPV6_BITS: Final = 48
Network = IPv4Network | IPv6Network


def canonical_address(text: str) -> str | None:
    """
    Write one address in its canonical form; None for anything else.

    An IPv4-mapped IPv6 address becomes that IPv4 address. Source: RFC 5952, RFC 4291 section 2.5.5.2.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        mapped = address.ipv4_mapped
        return str(address if mapped is None else mapped)
    return str(address)


def shortened_network(address: str) -> str | None:
    """
    Return the network of an address, which shows the rough location but not the person: an IPv4 /24 or an IPv6 /48.

    Returns:
        The network, like ``203.0.113.0/24``; None for what is not an address.
    """
    canonical = canonical_address(address)
    if canonical is None:
        return None
    prefix = _SHOWN_IPV6_BITS if ":" in canonical else _SHOWN_IPV4_BITS
    return str(ip_network((canonical, prefix), strict=False))


def canonical_allow_list(texts: Iterable[str]) -> tuple[str, ...]:
    """
    Convert addresses and networks (CIDR) to their stored form: canonical, distinct, sorted.

    Raises:
        ValidationFailed: An entry is neither, or has host bits set, or there are none or too many. An empty list is
            refused, because it could mean "nowhere" or "everywhere".
    """
    given = list(texts)
    if not given:
        raise _refused("Name at least one address, or leave the list out.")
    if len(given) > MAX_ADDRESSES:
        raise _refused(f"At most {MAX_ADDRESSES} addresses and networks.")
    networks = {_network(text) for text in given}
    ordered = sorted(networks, key=lambda one: (one.version, int(one.network_address), one.prefixlen))
    return tuple(_text(network) for network in ordered)


def admits(allow_list: tuple[str, ...], address: str | None) -> bool:
    """Return whether *address* is on a stored list; an unknown address never is."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        found = _unmapped(found)
    return any(found in network for network in _networks(allow_list))


def is_within(narrow: tuple[str, ...], wide: tuple[str, ...]) -> bool:
    """Return whether every address of the stored list *narrow* is on *wide* too."""
    covering = _collapsed(_networks(wide))
    return all(
        any(network.subnet_of(each) for each in covering if isinstance(each, type(network)))  # type: ignore[arg-type]
        for network in _networks(narrow)
    )


def _refused(sentence: str) -> ValidationFailed:
    return ValidationFailed(details=(("allowedIps", sentence),))


def _network(text: str) -> Network:
    wrong = _refused("Each is an IPv4 or IPv6 address, or a network like 192.0.2.0/24 or 2001:db8::/32.")
    if len(text) > MAX_ADDRESS or "%" in text:
        raise wrong
    address, _, length = text.partition("/")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise wrong from None
    # Python reads 0.0.0.255 the other way round, as the wildcard that some routers use.
    if "." in length and length != str(network.netmask):
        raise wrong
    if ip_address(address) != network.network_address:
        raise _refused("A network has no bits set behind its prefix length, like 192.0.2.0/24.")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - _MAPPED.prefixlen))
    return network


def _text(network: Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _unmapped(address: IPv6Address) -> IPv4Address | IPv6Address:
    return address.ipv4_mapped or address


@lru_cache(maxsize=1024)
def _networks(allow_list: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in allow_list)


def _collapsed(networks: tuple[Network, ...]) -> list[Network]:
    """Merge adjacent networks, so that a network that two halves cover counts as covered."""
    four = [network for network in networks if isinstance(network, IPv4Network)]
    six = [network for network in networks if isinstance(network, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]
