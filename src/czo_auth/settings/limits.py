"""Settings that protect a deployment from floods: rate limits and the queue of password hashes."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from czo_auth.settings.group import SettingsGroup

_ONE_REDIS: Final = frozenset({"redis", "rediss"})
_REDIS: Final = _ONE_REDIS | {"redis+unix", "redis+sentinel", "redis+cluster"}


class LimitSettings(SettingsGroup):
    """Rate limits, and how much is hashed at once."""

    rate_limit_enabled: bool = Field(
        default=True,
        description="Coarse limits by address and account. Attempt limits and locks are always on.",
    )
    rate_limit_url: str | None = Field(
        default=None,
        repr=False,
        description="`redis://…` to share the coarse limits, and those of API keys, between processes; by default "
        "each process counts on its own, so N workers allow up to N times as many requests.",
    )
    hash_threads: int | None = Field(
        default=None, ge=1, le=64, description="Threads that hash; by default one per core."
    )
    hash_queue: int = Field(
        default=256, ge=1, description="Hashes that may wait before further ones get 429."
    )

    @field_validator("rate_limit_url")
    @classmethod
    def _rate_limit_url(cls, value: str | None) -> str | None:
        if value is not None and not _names_counters(value):
            raise ValueError("must be like redis://:password@host:6379/0, or rediss:// for TLS")
        return value


def _names_counters(url: str) -> bool:
    """Return whether *url* can be a Redis; what only its driver can tell comes when it is opened."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _ONE_REDIS:
            return parts.scheme in _REDIS
        path = parts.path.removeprefix("/")
        return bool(parts.hostname and parts.port) and (not path or (path.isascii() and path.isdecimal()))
    except ValueError:
        # A port that is not a number, or brackets that hold no IPv6 address.
        return False
