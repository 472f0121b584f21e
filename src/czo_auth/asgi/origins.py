"""Which sites' pages may use cookies here, and which may sign people in (CSRF)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from czo_auth.core.errors import CrossSiteNavigationBlocked, InvalidOrigin, MissingOrNullOrigin

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Origins:
    """
    Decides about the ``Origin`` of requests.

    Args:
        own: The deployment's own origins.
        trusted: Further origins; ``*`` stands for one or more labels of a host name, never for a scheme or a port.
    """

    def __init__(self, own: Iterable[str], trusted: Iterable[str]) -> None:
        patterns = [*(re.escape(origin.rstrip("/")) for origin in own), *map(_pattern, trusted)]
        self.pattern = "|".join(patterns)
        self._trusted = re.compile(self.pattern, re.IGNORECASE)

    def trusts(self, origin: str) -> bool:
        """Say whether *origin* (scheme, host, port) is trusted."""
        return self._trusted.fullmatch(origin) is not None

    def check_cookie_request(self, headers: dict[str, str]) -> None:
        """
        Refuse a changing request that carries a cookie and does not come from a trusted page.

        Args:
            headers: Lower-case names.

        Raises:
            MissingOrNullOrigin, InvalidOrigin
        """
        origin = headers.get("origin")
        if origin is None:
            origin = _origin_of(headers.get("referer", ""))
        if origin is None or origin == "null":
            raise MissingOrNullOrigin
        if not self.trusts(origin):
            raise InvalidOrigin

    def check_sign_in(self, headers: dict[str, str], *, carries_cookie: bool) -> None:
        """
        Refuse to sign somebody in or up at another site's wish, even without a cookie.

        Raises:
            CrossSiteNavigationBlocked, MissingOrNullOrigin, InvalidOrigin
        """
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate":
            raise CrossSiteNavigationBlocked
        from_browser = "origin" in headers or any(name.startswith("sec-fetch-") for name in headers)
        if from_browser or carries_cookie:
            self.check_cookie_request(headers)


def _origin_of(address: str) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        # Brackets that hold no IPv6 address.
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else None


def _pattern(origin: str) -> str:
    return re.escape(origin.rstrip("/")).replace(r"\*", r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
