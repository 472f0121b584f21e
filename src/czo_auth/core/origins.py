"""
Web origins, spelled as browsers spell them.

Source: RFC 6454 sections 4 and 6.2; WHATWG URL, host serializing.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import idna

DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\\]+)(?::(?P<port>[0-9]{0,5}))?/?",
    re.IGNORECASE,
)
_ASCII_LABELS: Final = re.compile(r"[a-z0-9_.*-]+")
_PRIVATE_ENDS: Final = frozenset({"example", "internal", "invalid", "local", "localhost", "test"})
"""Last labels that nobody can register a domain below. Source: RFC 6761, RFC 6762, ICANN resolution 2024.07.29.06."""
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


def canonical_origin(text: str) -> str | None:
    """
    Return the origin *text* as a browser writes it, or None when it is not an origin.

    Scheme and host in lower case, a domain in A-labels, an IPv6 address compressed, without the scheme's own port and
    without a final slash. ``*`` in the host is left as it is.
    """
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    host = _canonical_host(found["host"])
    if host is None:
        return None
    port = (found["port"] or "").lstrip("0")
    if port and int(port) > 65535:
        return None
    return f"{scheme}://{host}" + ("" if not port or port == DEFAULT_PORTS.get(scheme) else f":{port}")


def host_of(origin: str) -> str:
    """Return the host of a canonical origin, an IPv6 address in its brackets."""
    rest = origin.partition("://")[2]
    return rest.partition("]")[0] + "]" if rest.startswith("[") else rest.partition(":")[0]


def port_of(origin: str) -> str:
    """Return the port of a canonical origin, the scheme's own one included."""
    scheme, _, rest = origin.partition("://")
    return rest[len(host_of(origin)) :].removeprefix(":") or DEFAULT_PORTS.get(scheme, "")


def is_loopback(host: str) -> bool:
    """Whether *host* is a loopback address or its name: ``localhost``, ``127.…``, ``[::1]``."""
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def origin_pattern(origin: str) -> str:
    """Return the regular expression of a trusted origin; ``*`` stands for one or more labels of a host name."""
    known = canonical_origin(origin) or origin.rstrip("/")
    return re.escape(known).replace(r"\*", r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")


def matches_any_site(origin: str) -> bool:
    """
    Whether the pattern *origin* matches web sites of every owner: ``https://*``, ``https://*.com``, ``https://shop.*``.

    The labels behind the last one with ``*`` have to be a domain, so at least two, or one below which nobody can
    register a domain.
    """
    scheme, _, rest = (canonical_origin(origin) or origin).partition("://")
    host = rest.partition(":")[0]
    if scheme not in ("http", "https") or "*" not in host:
        return False
    _, _, fixed_end = host.rpartition("*")[2].partition(".")
    labels = [label for label in fixed_end.split(".") if label]
    return len(labels) < 2 and (not labels or labels[0] not in _PRIVATE_ENDS)


def _canonical_host(host: str) -> str | None:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    lower = host.lower()
    if lower.isascii():
        return lower if _ASCII_LABELS.fullmatch(lower) else None
    try:
        return ".".join(label if "*" in label else _a_label(label) for label in lower.split("."))
    except (idna.IDNAError, UnicodeError):
        return None


def _a_label(label: str) -> str:
    return label if label.isascii() else idna.encode(label, uts46=True, std3_rules=True).decode("ascii")
