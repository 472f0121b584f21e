"""Changes to a key, and their result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from czo_auth.core.api_keys.addresses import canonical_allow_list, is_within
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.lifetime import bounded_end, notice_within
from czo_auth.core.api_keys.quota import QuotaUpdate
from czo_auth.core.api_keys.rate_limit import RateLimitUpdate, is_as_tight
from czo_auth.core.api_keys.scopes import check_form
from czo_auth.core.context import Context
from czo_auth.core.errors import LifetimeTooLong, ValidationFailed
from czo_auth.core.fields import check_not_null, checked_metadata, checked_name
from czo_auth.core.flows.api_keys.new_key import check_expiry, quota_fields
from czo_auth.core.flows.services import Services
from czo_auth.core.throttle import RateLimit
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyChanges:
    """
    Changes to a key; *given* names the fields that were sent.

    Attributes:
        password, code: Recent proof, which raising a quota requires.
    """

    given: frozenset[str]
    name: str | None = None
    enabled: bool | None = None
    scopes: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    metadata: Mapping[str, object] | None = None
    allowed_ips: tuple[str, ...] | None = None
    rate_limit: RateLimitUpdate = field(default_factory=RateLimitUpdate)
    quota: QuotaUpdate = field(default_factory=QuotaUpdate)
    password: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


class ConsumableProof(Protocol):
    """A verified proof of who asks (`czo_auth.core.flows.two_factor.reauthenticate.VerifiedProof`)."""

    def consume(self, tx: Transaction) -> User:
        """Lock the user and spend the proof; call it first in the transaction of the change."""


class ProofOfCaller(Protocol):
    """Asks for recent proof (`czo_auth.core.flows.two_factor.reauthenticate.Reauthentication`)."""

    async def require(
        self, *, password: str | None = None, code: str | None = None, context: Context
    ) -> ConsumableProof:
        """Refuse unless the caller recently proved who they are."""


def apply_changes(
    services: Services, key: ApiKey, changes: ApiKeyChanges, *, longest_days: int | None, now: datetime
) -> ApiKey:
    """
    Return the changed key. Scopes, allow-list and rate limit can only get stricter; a quota can also be raised.

    Args:
        longest_days: The maximum lifetime of a key, by the organization or the deployment.

    Raises:
        ValidationFailed: A field is wrong or would widen, or the key has expired or was rotated.
        LifetimeTooLong: The expiry exceeds the maximum lifetime, counted from the key's creation.
    """
    given = changes.given
    check_not_null(given, name=changes.name, enabled=changes.enabled, scopes=changes.scopes)
    scopes = key.scopes
    if "scopes" in given:
        scopes = check_form(changes.scopes or ())
        if not set(scopes) <= set(key.scopes):
            raise ValidationFailed(details=(("scopes", "Scopes can only be narrowed."),))
    if changes.enabled and "enabled" in given and _died_at_rotation(key):
        raise ValidationFailed(details=(("enabled", "A rotated key cannot be revived."),))
    expires_at = key.expires_at
    if "expires_at" in given:
        expires_at = _moved_end(services, key, changes.expires_at, longest_days=longest_days, now=now)
    rate_limit = _tightened_rate(key, changes.rate_limit)
    return replace(
        key,
        name=checked_name(changes.name or "") if "name" in given else key.name,
        enabled=bool(changes.enabled) if "enabled" in given else key.enabled,
        metadata=checked_metadata(changes.metadata) if "metadata" in given else key.metadata,
        scopes=scopes,
        expires_at=expires_at,
        noticed_days=notice_within(expires_at, now=now),
        allowed_ips=_tightened_list(key, changes) if "allowed_ips" in given else key.allowed_ips,
        rate_limit_max=rate_limit.requests if rate_limit else None,
        rate_limit_window_seconds=rate_limit.window_seconds if rate_limit else None,
        updated_at=now,
        **quota_fields(changes.quota.on(key.quota, key_id=key.quota_id or key.id), before=key),
    )


def _moved_end(
    services: Services, key: ApiKey, requested: datetime | None, *, longest_days: int | None, now: datetime
) -> datetime | None:
    if key.expires_at is not None and key.expires_at <= now:
        raise ValidationFailed(details=(("expiresAt", "An expired key cannot be revived."),))
    if key.rotated_at is not None:
        raise ValidationFailed(details=(("expiresAt", "A rotated key keeps its end."),))
    if requested is not None:
        check_expiry(services, requested, now=now)
    if requested is None and longest_days is not None:
        raise LifetimeTooLong(details=(("expiresAt", "A key without an end is not allowed here."),))
    if requested is not None and key.expires_at is not None and requested <= key.expires_at:
        return requested
    return bounded_end(requested, longest_days=longest_days, since=key.created_at)


def _tightened_list(key: ApiKey, changes: ApiKeyChanges) -> tuple[str, ...] | None:
    """
    Return the allow-list that a change leaves.

    Raises:
        ValidationFailed: It would admit more than before.
    """
    new = None if changes.allowed_ips is None else canonical_allow_list(changes.allowed_ips)
    if key.allowed_ips is not None and (new is None or not is_within(new, key.allowed_ips)):
        raise ValidationFailed(details=(("allowedIps", "The allow-list can only be narrowed."),))
    return new


def _tightened_rate(key: ApiKey, update: RateLimitUpdate) -> RateLimit | None:
    """
    Return the rate limit that a change leaves.

    Raises:
        ValidationFailed: It would let more pass than before.
    """
    new = update.on(key.rate_limit)
    if not is_as_tight(new, key.rate_limit):
        raise ValidationFailed(details=(("rateLimitMax", "The rate limit can only be tightened."),))
    return new


def quota_details(before: ApiKey, after: ApiKey) -> dict[str, object]:
    """Return what is recorded of a quota that changed."""
    if (before.quota_max, before.quota_period) == (after.quota_max, after.quota_period):
        return {}
    return {"quotaBefore": _quota_text(before), "quota": _quota_text(after)}


def _quota_text(key: ApiKey) -> str | None:
    return None if key.quota_max is None else f"{key.quota_max}/{key.quota_period}"


def _died_at_rotation(key: ApiKey) -> bool:
    return key.rotated_at is not None and key.expires_at is not None and key.expires_at <= key.rotated_at
