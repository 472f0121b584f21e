"""An API key as stored: only the digest and prefix of its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from czo_auth.core.api_keys.quota import Quota, QuotaPeriod, quota_of
from czo_auth.core.api_keys.retired import RetiredKeyFormat
from czo_auth.core.limits import MAX_API_KEYS_A_DAY
from czo_auth.core.throttle import RateLimit
from czo_auth.crypto import tokens

OwnerKind = Literal["user", "service_account"]
LeakResponse = Literal["revoke", "quarantine"]
"""What happens to a leaked key: revoked, or disabled until its owner decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyPolicy:
    """
    Attributes:
        prefix: What every key starts with; secret scanners look for it.
        limit: Live keys that a user may have; the same number of rotated keys may stay valid during their overlap.
        daily_limit: Keys that a user may create in a day, including those that have since ended.
        longest_years: The latest ``expiresAt``, in calendar years.
        longest_overlap: How long a rotated key may stay valid.
        when_leaked: What a report of a leak does to a key.
        longest_days: The maximum lifetime of a key; None for no bound except ``longest_years``.
        unused_days: A key expires after this many days without use; None for never.
        retired: Forms of other systems' keys that are still accepted.
        records_addresses: Whether the network that a key was last used from is kept.
    """

    prefix: str = "czo_"
    limit: int = 100
    daily_limit: int = MAX_API_KEYS_A_DAY
    longest_years: int = 10
    longest_overlap: timedelta = timedelta(days=1)
    when_leaked: LeakResponse = "revoke"
    longest_days: int | None = None
    unused_days: int | None = None
    records_addresses: bool = True
    retired: tuple[RetiredKeyFormat, ...] = ()

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes by which a text is treated as an API key: accepted or refused as one."""
        return (self.prefix, *(each.prefix for each in self.retired))

    def accepts(self, key: str, *, now: datetime) -> bool:
        """Whether *key* has the complete form of a key that may exist now: ours, or a retired one."""
        return tokens.is_well_formed(key, self.prefix) or any(
            each.accepts(key, now=now) for each in self.retired
        )

    def farthest_end(self, now: datetime) -> datetime:
        """Return the latest time at which a key created *now* may expire."""
        year = now.year + self.longest_years
        try:
            return now.replace(year=year)
        except ValueError:
            # The 29th of February, in a year that has none.
            return now.replace(year=year, month=3, day=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """
    Attributes:
        user_id: The user who owns it; None if a service account does.
        service_account_id: The service account that owns it; None if a user does.
        created_by: The user who made or rotated it; they may be gone.
        prefix: The first eight characters, so that people recognize it.
        actor_type: The actor type of the session that created it; None for a service account's.
        rotated_at: When a successor was made; from then on it does not count against the limit.
        allowed_ips: Addresses and networks that it may be used from, in canonical form; None for everywhere.
        rate_limit_max, rate_limit_window_seconds: Uses in a window; both None for no limit.
        noticed_days: The last expiry notice sent to the owner, in days before expiry; None before the first.
        unused_noticed_at: When the owner was warned that it will expire because it is unused.
        use_count: Uses of it and, up to the rotation, of the key that it replaced.
        last_used_ip: The network that it was last used from, like ``203.0.113.0/24``.
        quota_max, quota_period: Uses in a day or month; both None for no quota.
        quota_id: The id under which the uses of its quota are counted; None if it never had one.
    """

    id: str
    user_id: str | None
    organization_id: str | None
    actor_type: str | None
    name: str
    prefix: str
    scopes: tuple[str, ...]
    metadata: Mapping[str, object] | None
    enabled: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    rotated_at: datetime | None
    created_at: datetime
    updated_at: datetime
    allowed_ips: tuple[str, ...] | None = None
    rate_limit_max: int | None = None
    rate_limit_window_seconds: int | None = None
    noticed_days: int | None = None
    unused_noticed_at: datetime | None = None
    use_count: int = 0
    last_used_ip: str | None = None
    quota_max: int | None = None
    quota_period: QuotaPeriod | None = None
    quota_id: str | None = None
    service_account_id: str | None = None
    created_by: str | None = None

    @property
    def owner_id(self) -> str:
        """The id of the user or service account that owns it."""
        return self.user_id or self.service_account_id or ""

    @property
    def rate_limit(self) -> RateLimit | None:
        """How often it may be used; None for no limit."""
        return rate_limit_of(self.rate_limit_max, self.rate_limit_window_seconds)

    @property
    def quota(self) -> Quota | None:
        """How often it may be used in a day or month; None for no quota."""
        return quota_of(self.quota_max, self.quota_period, self.quota_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedApiKey:
    """
    A key and its owner, for lists of all keys.

    Attributes:
        owner_email: None for a service account, and where the reader must not see addresses.
    """

    key: ApiKey
    owner_email: str | None
    owner_name: str

    @property
    def owner_kind(self) -> OwnerKind:
        """Whether a user or a service account owns it."""
        return "user" if self.key.service_account_id is None else "service_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRestrictions:
    """Restrictions that are checked at each use of a key; most keys have none."""

    allowed_ips: tuple[str, ...] | None
    rate_limit: RateLimit | None
    quota: Quota | None = None


def rate_limit_of(requests: int | None, window_seconds: int | None) -> RateLimit | None:
    """Combine the two columns of a limit."""
    if requests is None or window_seconds is None:
        return None
    return RateLimit(requests=requests, window_seconds=window_seconds)
