"""Which sites may use cookies here and sign people in (CSRF protection)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import Scope

from czo_auth.core.errors import CrossSiteNavigationBlocked, InvalidOrigin, MissingOrNullOrigin
from czo_auth.core.limits import MAX_LOGGED_ORIGINS
from czo_auth.core.origins import (
    LOOPBACK_NAMES,
    canonical_origin,
    host_of,
    is_loopback,
    origin_pattern,
    port_of,
)
from czo_auth.core.text import escape_control

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_LOG = logging.getLogger("czo_auth")


class Origins:
    """
    Decides about the ``Origin`` of requests.

    Args:
        own: The deployment's base URL.
        trusted: Further origins; ``*`` stands for one or more labels of a host name, never for a scheme or a port.
        is_development: Whether, if the base URL is on this machine, every loopback name counts as own: with the port of
            the base URL, or of the request.
    """

    def __init__(self, own: str, trusted: Iterable[str], *, is_development: bool = False) -> None:
        base = canonical_origin(own) or own.rstrip("/")
        self._is_local = is_loopback(host_of(base))
        self._any_local_name = is_development and self._is_local
        self._own = {base} | {
            f"{base.partition('://')[0]}://{name}:{port_of(base)}"
            for name in (LOOPBACK_NAMES if self._any_local_name else ("localhost",))
            if self._is_local
        }
        self._own = {canonical_origin(origin) or origin for origin in self._own}
        self.expected = [base, *trusted]
        patterns = [*map(re.escape, self._own), *map(origin_pattern, trusted)]
        self._trusted = re.compile("|".join(patterns))
        self._logged: set[str] = set()

    def trusts(self, origin: str, scope: Scope | None = None) -> bool:
        """
        Whether *origin* (scheme, host, port) is trusted.

        Args:
            scope: The request that it came with, for the port that this was sent to.
        """
        # Browsers send A-labels and no path; anything else is not a trusted origin.
        known = canonical_origin(origin) if origin.isascii() and not origin.endswith("/") else None
        if known is None:
            return False
        if self._trusted.fullmatch(known) is not None:
            return True
        if scope is None or not self._any_local_name or not is_loopback(host_of(known)):
            return False
        return known.startswith(("http://", "https://")) and port_of(known) in _ports(scope)

    def check_cookie_request(self, scope: Scope) -> None:
        """
        Refuse a state-changing request with a cookie that does not come from a trusted page.

        Raises:
            MissingOrNullOrigin, InvalidOrigin
        """
        headers = _headers(scope)
        origin = headers.get("origin")
        if origin is None:
            origin = _origin_of(headers.get("referer", ""))
        if origin is None or origin == "null":
            raise MissingOrNullOrigin
        if not self.trusts(origin, scope):
            self._log(origin)
            raise InvalidOrigin

    def check_sign_in(self, scope: Scope, *, carries_cookie: bool) -> None:
        """
        Refuse a sign-in or sign-up that another site triggered, even without a cookie.

        Raises:
            CrossSiteNavigationBlocked, MissingOrNullOrigin, InvalidOrigin
        """
        headers = _headers(scope)
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate":
            raise CrossSiteNavigationBlocked
        from_browser = "origin" in headers or any(name.startswith("sec-fetch-") for name in headers)
        if from_browser or carries_cookie:
            self.check_cookie_request(scope)

    def _log(self, origin: str) -> None:
        """Log a refused origin once, with the expected ones: a wrong base URL looks like an attack."""
        shown = escape_control(origin, limit=200)
        if shown in self._logged or len(self._logged) >= MAX_LOGGED_ORIGINS:
            return
        self._logged.add(shown)
        _LOG.warning(
            "refused a request from a page of %s: expected %s; CZO_AUTH_BASE_URL and CZO_AUTH_TRUSTED_ORIGINS decide",
            shown,
            ", ".join(self.expected),
        )


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _ports(scope: Scope) -> set[str]:
    """Return the ports that the request was sent to: the socket's, and that of a ``Host`` which names this machine."""
    server = scope.get("server")
    ports = {str(server[1])} if server and server[1] is not None else set()
    host = canonical_origin(f"{scope.get('scheme', 'http')}://{_headers(scope).get('host', '')}")
    if host is not None and is_loopback(host_of(host)):
        ports.add(port_of(host))
    return ports


def _origin_of(address: str) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        # Brackets that hold no IPv6 address.
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else None
