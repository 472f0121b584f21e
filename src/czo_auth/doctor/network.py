"""
Checks of how the deployment is reached: addresses, cookies, other origins, proxies, and what is open besides the API.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from czo_auth.doctor.finding import Check, Finding
from czo_auth.extras import MissingExtra, require_extra
from czo_auth.settings import Settings
from czo_auth.storage.facts import is_local

ENVIRONMENT: Final = Check(
    "environment",
    "In production, API docs and introspection are closed, and mail tokens are never logged.",
    ("13.4.2",),
)
OPEN_DOCS: Final = Check(
    "open-docs", "API docs and introspection show strangers what to attack.", ("4.3.2", "13.4.5")
)
METRICS: Final = Check("metrics", "Metrics tell strangers how busy the deployment is.", ("13.4.5",))
HTTPS: Final = Check(
    "https", "Without TLS, anyone on the network path can read passwords, codes and API keys.", ("12.2.1",)
)
COOKIES: Final = Check(
    "cookies", "A cookie without `Secure` is also sent over plain http, where it can be copied.", ("3.3.1",)
)
ORIGINS: Final = Check(
    "trusted-origins",
    "Pages of these origins can use a visitor's session.",
    ("3.4.2", "3.5.1"),
)
PROXIES: Final = Check(
    "trusted-proxies",
    "A trusted proxy sets `X-Forwarded-For`: the client address for rate limits and the audit log.",
    ("4.1.3", "15.3.4"),
)
PAGES: Final = Check(
    "pages",
    "A strict Content-Security-Policy blocks foreign scripts and frames on the account pages.",
    ("3.4.3", "3.4.6"),
)
CHECKS: Final = (ENVIRONMENT, OPEN_DOCS, METRICS, HTTPS, COOKIES, ORIGINS, PROXIES, PAGES)

_WIDEST_V4, _WIDEST_V6 = 8, 16
"""Prefix lengths below which a network of proxies is unlikely to be one's own."""


def check_network(settings: Settings) -> Iterator[Finding]:
    """Check the *settings* only; nothing is connected to."""
    yield _environment(settings)
    yield _open_docs(settings)
    yield _metrics(settings)
    yield _https(settings)
    yield _cookies(settings)
    yield _origins(settings)
    yield _proxies(settings)
    yield _pages(settings)


def _environment(settings: Settings) -> Finding:
    if settings.is_production:
        return ENVIRONMENT.ok("production")
    return ENVIRONMENT.warn("development", "Set CZO_AUTH_ENVIRONMENT=production before other people use it.")


def _open_docs(settings: Settings) -> Finding:
    opened = [
        name
        for name, is_open in (
            ("API docs", settings.docs_are_open),
            ("GraphQL introspection", settings.introspection_is_open),
        )
        if is_open
    ]
    if not opened:
        return OPEN_DOCS.ok("closed")
    found = f"open: {', '.join(opened)}"
    if not settings.is_production:
        return OPEN_DOCS.ok(f"{found}, as in development")
    return OPEN_DOCS.warn(
        found, "Unset CZO_AUTH_API_DOCS and CZO_AUTH_GRAPHQL_INTROSPECTION, unless the API is public."
    )


def _metrics(settings: Settings) -> Finding:
    if not settings.metrics_enabled:
        return METRICS.ok("off")
    if is_local(settings.host):
        return METRICS.ok(f"/metrics answers on {settings.host} only")
    return METRICS.warn(
        f"anyone who reaches port {settings.port} can read /metrics",
        "Configure the proxy to refuse /metrics from outside.",
    )


def _https(settings: Settings) -> Finding:
    parts = urlsplit(settings.public_url)
    if parts.scheme == "https":
        return HTTPS.ok(settings.public_url)
    advice = "Put a proxy with TLS in front, and set CZO_AUTH_BASE_URL to its https address."
    if is_local(parts.hostname or "") and not settings.is_production:
        return HTTPS.warn(f"{settings.public_url}: plain http, on this machine only", advice)
    return HTTPS.fail(f"{settings.public_url}: plain http", advice)


def _cookies(settings: Settings) -> Finding:
    parts = urlsplit(settings.public_url)
    if parts.scheme == "https":
        start = "__Host-" if settings.cookie_prefix.startswith("__Host-") else "__Secure-"
        domain = "" if settings.cookie_domain is None else f", for all hosts of {settings.cookie_domain}"
        return COOKIES.ok(f"Secure, HttpOnly, SameSite=Lax, named {start}…{domain}")
    advice = "Set CZO_AUTH_BASE_URL to the https address."
    if is_local(parts.hostname or "") and not settings.is_production:
        return COOKIES.warn("not Secure, since the base URL is plain http", advice)
    return COOKIES.fail("not Secure, since the base URL is plain http", advice)


def _origins(settings: Settings) -> Finding:
    trusted = settings.trusted_origins
    if not trusted:
        return ORIGINS.ok("only the server's own")
    listed = ", ".join(trusted)
    if any(_covers_other_domains(origin) for origin in trusted):
        return ORIGINS.fail(
            f"{listed}: a pattern matches other people's sites", "List each of your origins in full."
        )
    plain = [origin for origin in trusted if _is_plain(origin)]
    if plain:
        return ORIGINS.warn(
            f"plain http: {', '.join(plain)}",
            "Trust https origins only: plain http can be forged on the network path.",
        )
    if any("*" in origin for origin in trusted):
        return ORIGINS.warn(
            f"{listed}: every host that matches, including future ones",
            "List each origin in full, or make sure that nobody else can get a matching host.",
        )
    return ORIGINS.ok(listed)


def _covers_other_domains(origin: str) -> bool:
    """
    Return whether somebody else may have a host that matches a pattern.

    A pattern that matches any site, like ``https://*.com``, stops the start.
    """
    host = origin.partition("://")[2].partition(":")[0]
    # Without the dot, `*shop.co.example` is also someone else's `myshop.co.example`.
    return "*" in host and not host.rpartition("*")[2].startswith(".")


def _is_plain(origin: str) -> bool:
    parts = urlsplit(origin.replace("*", "x"))
    return parts.scheme != "https" and not is_local(parts.hostname or "")


def _proxies(settings: Settings) -> Finding:
    networks = [ipaddress.ip_network(text, strict=False) for text in settings.trusted_proxies]
    listed = ", ".join(map(str, networks))
    if any(network.prefixlen == 0 for network in networks):
        return PROXIES.fail(
            f"{listed}: `X-Forwarded-For` is trusted from everywhere",
            "Set CZO_AUTH_TRUSTED_PROXIES to the addresses of your own proxies.",
        )
    if any(network.prefixlen < (_WIDEST_V4 if network.version == 4 else _WIDEST_V6) for network in networks):
        return PROXIES.warn(f"{listed}: wider than a private network", "Narrow it to your proxies.")
    if networks:
        return PROXIES.ok(listed)
    if settings.public_url.startswith("https://"):
        return PROXIES.warn(
            "none, but TLS is terminated in front of this server, so every client has the proxy's address",
            "Set CZO_AUTH_TRUSTED_PROXIES to the proxy's address, as this server sees it.",
        )
    return PROXIES.ok("none: `X-Forwarded-For` is ignored")


def _pages(settings: Settings) -> Finding:
    if not settings.pages_enabled:
        return PAGES.ok("off; pages that a host mounts are not checked")
    try:
        require_extra("pages", "CZO_AUTH_PAGES_ENABLED")
    except MissingExtra as missing:
        return PAGES.fail(str(missing), "Install it, or set CZO_AUTH_PAGES_ENABLED=false.")
    from czo_auth.web.renderer import POLICY

    return PAGES.ok(f"{settings.pages_path}, with {POLICY.partition(';')[0]}, no inline script, no frame")
