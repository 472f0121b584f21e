"""Creating and rotating API keys of users and service accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from czo_auth.core.api_keys.addresses import canonical_allow_list
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.lifetime import bounded_end, notice_within, shorter
from czo_auth.core.api_keys.quota import Quota, QuotaUpdate
from czo_auth.core.api_keys.rate_limit import RateLimitUpdate
from czo_auth.core.api_keys.scopes import check_form
from czo_auth.core.errors import ApiKeyAlreadyRotated, NotFound, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_metadata, checked_name
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """Input for a new key."""

    name: str
    organization_id: str | None = None
    expires_at: datetime | None = None
    expires_in: timedelta | None = None
    scopes: tuple[str, ...] = ()
    metadata: Mapping[str, object] | None = None
    allowed_ips: tuple[str, ...] | None = None
    rate_limit: RateLimitUpdate = field(default_factory=RateLimitUpdate)
    quota: QuotaUpdate = field(default_factory=QuotaUpdate)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedApiKey:
    """A key with its text, which is shown only here (S20)."""

    api_key: ApiKey
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """
    The owner of a new key, and its creator.

    Attributes:
        user_id, service_account_id: One of the two is None.
        actor_type: Of the session that makes a user's key.
        created_by: The user who makes it; None for an operator or the host's code.
    """

    user_id: str | None = None
    service_account_id: str | None = None
    actor_type: str | None = None
    created_by: str | None = None


def generate_key(services: Services, new: NewApiKey, owner: KeyOwner, *, now: datetime) -> CreatedApiKey:
    """
    Check the request, and generate the key; nothing is stored yet.

    Raises:
        ValidationFailed: Invalid name, metadata, expiry, scopes, allow-list or limits.
    """
    name, metadata = checked_name(new.name), checked_metadata(new.metadata)
    scopes = check_form(new.scopes)
    requested_end = _expiry(services, new, now=now)
    allowed_ips = None if new.allowed_ips is None else canonical_allow_list(new.allowed_ips)
    rate_limit = new.rate_limit.on(None)
    key_id = new_id(now)
    quota = new.quota.on(None, key_id=key_id)
    key = generate_key_text(services)
    api_key = ApiKey(
        id=key_id,
        user_id=owner.user_id,
        service_account_id=owner.service_account_id,
        created_by=owner.created_by,
        organization_id=new.organization_id,
        actor_type=owner.actor_type,
        name=name,
        prefix=key[: tokens.SHOWN_CHARACTERS],
        scopes=scopes,
        metadata=metadata,
        enabled=True,
        expires_at=requested_end,
        last_used_at=None,
        rotated_at=None,
        created_at=now,
        updated_at=now,
        allowed_ips=allowed_ips,
        rate_limit_max=rate_limit.requests if rate_limit else None,
        rate_limit_window_seconds=rate_limit.window_seconds if rate_limit else None,
        **quota_fields(quota),
    )
    return CreatedApiKey(api_key=api_key, key=key)


def generate_key_text(services: Services) -> str:
    """Generate the text of a key."""
    return tokens.new_token(services.policies.api_keys.prefix)


def store_key(tx: Transaction, generated: CreatedApiKey, *, longest_days: int | None) -> ApiKey:
    """
    Store a generated key, and record it; part of the caller's transaction, which checked the rights.

    Raises:
        LifetimeTooLong: The expiry exceeds the maximum lifetime.
    """
    end = bounded_end(generated.api_key.expires_at, longest_days=longest_days, since=tx.now)
    made = replace(generated.api_key, expires_at=end, noticed_days=notice_within(end, now=tx.now))
    tx.api_keys.add(made, digest=tokens.digest(generated.key))
    tx.record(key_event(types.API_KEY_CREATED, made))
    return made


def find_longest_days(services: Services, organization: Organization | None) -> int | None:
    """Return the longest life of a key by the deployment and its organization; None for no bound."""
    own = None if organization is None else organization.api_key_max_days
    return shorter(services.policies.api_keys.longest_days, own)


def check_expiry(services: Services, expires_at: datetime, *, now: datetime) -> None:
    """
    Refuse an expiry in the past, or too far in the future.

    Raises:
        ValidationFailed
    """
    if expires_at <= now:
        raise ValidationFailed(details=(("expiresAt", "The expiry lies in the past."),))
    if expires_at > services.policies.api_keys.farthest_end(now):
        raise ValidationFailed(details=(("expiresAt", "The expiry is too far in the future."),))


def _expiry(services: Services, new: NewApiKey, *, now: datetime) -> datetime | None:
    if new.expires_at is not None and new.expires_in is not None:
        raise ValidationFailed(details=(("expiresIn", "Send either expiresAt or expiresIn."),))
    expires_at = new.expires_at if new.expires_in is None else now + new.expires_in
    if expires_at is not None:
        check_expiry(services, expires_at, now=now)
    return expires_at


def check_overlap(services: Services, overlap: timedelta) -> None:
    """
    Refuse an overlap that is out of bounds.

    Raises:
        ValidationFailed
    """
    if not timedelta(0) <= overlap <= services.policies.api_keys.longest_overlap:
        raise ValidationFailed(details=(("overlapSeconds", "From 0 to 86400 seconds."),))


def check_replaceable(key: ApiKey, *, now: datetime) -> None:
    """
    Refuse to rotate a key that cannot be.

    Raises:
        ApiKeyAlreadyRotated: It has one.
        NotFound: It expired.
    """
    if key.rotated_at is not None:
        raise ApiKeyAlreadyRotated
    if key.expires_at is not None and key.expires_at <= now:
        raise NotFound


def store_successor(
    tx: Transaction,
    old: ApiKey,
    owner: KeyOwner,
    *,
    text: str,
    overlap: timedelta,
    longest_days: int | None,
) -> ApiKey:
    """
    Store a key of *owner* with the same rights, and end *old* after *overlap*.

    Part of the caller's transaction, which checked the rights and records it.

    Raises:
        ApiKeyAlreadyRotated: Another successor was made in the meantime.
    """
    end = tx.now + overlap
    if old.expires_at is not None:
        end = min(end, old.expires_at)
    if not tx.api_keys.mark_rotated(old.id, expires_at=end, now=tx.now):
        raise ApiKeyAlreadyRotated
    # A lifetime that is now too long is shortened, because none was requested here.
    longest = bounded_end(None, longest_days=longest_days, since=tx.now)
    life_ends = min((at for at in (old.expires_at, longest) if at is not None), default=None)
    successor = replace(
        old,
        id=new_id(tx.now),
        user_id=owner.user_id,
        service_account_id=owner.service_account_id,
        actor_type=owner.actor_type,
        created_by=owner.created_by,
        prefix=text[: tokens.SHOWN_CHARACTERS],
        expires_at=life_ends,
        noticed_days=notice_within(life_ends, now=tx.now),
        unused_noticed_at=None,
        last_used_at=None,
        created_at=tx.now,
        updated_at=tx.now,
    )
    tx.api_keys.add(successor, digest=tokens.digest(text))
    return successor


def quota_fields(quota: Quota | None, *, before: ApiKey | None = None) -> dict[str, Any]:
    """Return the columns of a quota. The counter survives a removal, so that removing the quota does not reset it."""
    counter_id = quota.counter_id if quota else before.quota_id if before else None
    return {
        "quota_max": quota.maximum if quota else None,
        "quota_period": quota.period if quota else None,
        "quota_id": counter_id,
    }


def key_event(action: str, key: ApiKey, **more: object) -> AuditEvent:
    """Return an audit event about a key, with its id and prefix."""
    owner: dict[str, object] = {"actorType": key.actor_type}
    if key.service_account_id is not None:
        owner = {"serviceAccountId": key.service_account_id, "createdBy": key.created_by}
    details = {"apiKeyId": key.id, "prefix": key.prefix, **owner, "name": key.name, **more}
    return AuditEvent(
        action=action, user_id=key.user_id, organization_id=key.organization_id, details=details
    )
