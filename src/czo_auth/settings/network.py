"""Settings of how clients reach a deployment: address, paths, origins, proxies and cookies."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from czo_auth.core.origins import canonical_origin, host_of, is_loopback, matches_any_site
from czo_auth.core.passkeys.policy import is_ip_address, is_within
from czo_auth.settings.group import DOMAIN, MountPath, SettingsGroup, Words

_COOKIE_PREFIX = re.compile(r"(?:__Host-)?[A-Za-z0-9][A-Za-z0-9_-]{0,39}")

DEFAULT_COOKIE_PREFIX: Final = "better-auth"
"""The one that better-auth's client looks for."""


class NetworkSettings(SettingsGroup):
    """Where a deployment is reached, and from where."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="How long the server keeps an idle connection, and waits for the head of a request. Must exceed "
        "that of the load balancer in front, often 60. Unit: seconds.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="Server processes.")
    base_url: str | None = Field(
        default=None,
        description="Public address of the deployment, e.g. `https://auth.example.com`; https makes cookies `Secure`."
        " By default `http://localhost:<port>`, or `http://<host>:<port>` if the host is set to another "
        "one.",
    )
    base_path: MountPath = Field(default="/api/auth", description="Path where the API is mounted.")
    trusted_origins: Words = Field(
        default=(),
        description="Origins besides its own whose pages may use cookies; `*` stands for one or more labels.",
    )
    trusted_proxies: Words = Field(
        default=(), description="Addresses or networks of proxies whose `X-Forwarded-For` is trusted."
    )

    cookie_prefix: str = Field(
        default=DEFAULT_COOKIE_PREFIX,
        description="What the names of cookies begin with, before a dot; better-auth's client expects its own. https "
        "adds `__Secure-`. With `__Host-` before it, no other host can set or get them.",
    )
    cookie_domain: str | None = Field(
        default=None,
        description="Domain whose hosts all get the cookies, such as `example.com`: that of the base URL or one above "
        "it. By default the host alone gets them.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError("must be addresses or networks, like 10.0.0.5,10.1.0.0/16") from None
        return value

    @field_validator("trusted_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if canonical_origin(text) is None:
                raise ValueError("must be origins, like https://shop.example.com or https://*.example.com")
            if matches_any_site(text):
                raise ValueError("must not hold a pattern that matches any site: write https://*.example.com")
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # What no browser would send as an origin would match none: every form would be refused, and nothing say why.
        if not value.startswith(("http://", "https://")) or "*" in value or canonical_origin(value) is None:
            raise ValueError("must be like https://auth.example.com, without a path")
        return value.rstrip("/")

    @field_validator("cookie_prefix")
    @classmethod
    def _cookie_prefix(cls, value: str) -> str:
        if not _COOKIE_PREFIX.fullmatch(value):
            raise ValueError("must be 1 to 40 letters, digits, - or _, perhaps with __Host- before them")
        return value

    @field_validator("cookie_domain")
    @classmethod
    def _cookie_domain(cls, value: str | None) -> str | None:
        # A browser ignores a leading dot. Source: RFC 6265 section 5.2.3.
        domain = None if value is None else value.removeprefix(".")
        if domain is not None and (
            "." not in domain or not DOMAIN.fullmatch(domain) or is_ip_address(domain)
        ):
            raise ValueError("must be a domain name in lower case, like example.com")
        return domain

    @model_validator(mode="after")
    def _cookies_fit(self) -> Self:
        host = host_of(canonical_origin(self.public_url) or "")
        if self.cookie_prefix.startswith("__Host-"):
            if self.cookie_domain is not None:
                raise ValueError("CZO_AUTH_COOKIE_DOMAIN and the prefix __Host- exclude each other")
            if not self.public_url.startswith("https://"):
                raise ValueError(
                    "CZO_AUTH_COOKIE_PREFIX may begin with __Host- only where the base URL is https"
                )
        if self.cookie_domain is not None and not is_within(host, self.cookie_domain):
            raise ValueError(
                "CZO_AUTH_COOKIE_DOMAIN must be the host name of the base URL, or a domain above it"
            )
        return self

    @property
    def public_url(self) -> str:
        """Where clients reach the deployment, without a final slash."""
        if self.base_url is not None:
            return self.base_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        # Browsers allow passkeys on the name, and not on the address.
        is_here = self.host in ("0.0.0.0", "::") or is_loopback(host)  # noqa: S104 - compared, not bound
        return f"http://{'localhost' if is_here else host}:{self.port}"
