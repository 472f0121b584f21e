"""The events of the contract, section 9, and the audit actions beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from czo_auth.core.context import Context
from czo_auth.core.events.personal import NO_COMMITMENT, Commitment

TWO_FACTOR_ENABLED = "auth.2fa.enabled"
TWO_FACTOR_DISABLED = "auth.2fa.disabled"
BACKUP_CODE_USED = "auth.2fa.backup_code_used"
BACKUP_CODES_REGENERATED = "auth.2fa.backup_codes_regenerated"
TWO_FACTOR_LOCKED = "auth.2fa.locked"
TWO_FACTOR_RESET_ASKED = "auth.2fa.reset_asked"
TWO_FACTOR_RESET_CANCELLED = "auth.2fa.reset_cancelled"
PASSKEY_ADDED = "auth.passkey.added"
PASSKEY_REMOVED = "auth.passkey.removed"
PASSKEY_COUNTER_REGRESSED = "auth.passkey.counter_regressed"
API_KEY_CREATED = "auth.apikey.created"
API_KEY_REVOKED = "auth.apikey.revoked"
API_KEY_ROTATED = "auth.apikey.rotated"
API_KEY_LEAKED = "auth.apikey.leaked"
API_KEY_EXPIRING = "auth.apikey.expiring"
API_KEY_EXPIRED = "auth.apikey.expired"
USER_REGISTERED = "auth.user.registered"
USER_UPDATED = "auth.user.updated"
USER_BANNED = "auth.user.banned"
USER_DELETED = "auth.user.deleted"
SESSION_CREATED = "auth.session.created"
SESSION_REVOKED = "auth.session.revoked"
REFRESH_REUSE_DETECTED = "auth.refresh.reuse_detected"
ORGANIZATION_CREATED = "auth.org.created"
MEMBER_ADDED = "auth.org.member_added"
MEMBER_REMOVED = "auth.org.member_removed"
ROLE_CHANGED = "auth.role.changed"

AUDIT_VERSION_1_CLOSED = "auth.audit.version_1_closed"
AUDIT_CUT = "auth.audit.cut"
EVENTS_REPLAYED = "auth.events.replayed"
AUDIT_ADDRESSES_REMOVED = "auth.audit.addresses_removed"
# Actions of the audit log only.
WEBHOOK_CREATED = "auth.webhook.created"
WEBHOOK_UPDATED = "auth.webhook.updated"
WEBHOOK_DELETED = "auth.webhook.deleted"
WEBHOOK_SECRET_ROTATED = "auth.webhook.secret_rotated"  # noqa: S105 - an audit action
WEBHOOK_TESTED = "auth.webhook.tested"
WEBHOOK_REPLAYED = "auth.webhook.replayed"
WEBHOOK_DISABLED = "auth.webhook.disabled"
WEBHOOK_SWITCHED_OFF = "auth.webhook.switched_off"

EVENT_TYPES = frozenset(
    {
        TWO_FACTOR_ENABLED,
        TWO_FACTOR_DISABLED,
        BACKUP_CODE_USED,
        BACKUP_CODES_REGENERATED,
        TWO_FACTOR_LOCKED,
        TWO_FACTOR_RESET_ASKED,
        TWO_FACTOR_RESET_CANCELLED,
        PASSKEY_ADDED,
        PASSKEY_REMOVED,
        PASSKEY_COUNTER_REGRESSED,
        API_KEY_CREATED,
        API_KEY_REVOKED,
        API_KEY_ROTATED,
        API_KEY_LEAKED,
        API_KEY_EXPIRING,
        API_KEY_EXPIRED,
        USER_REGISTERED,
        USER_UPDATED,
        USER_BANNED,
        USER_DELETED,
        SESSION_CREATED,
        SESSION_REVOKED,
        REFRESH_REUSE_DETECTED,
        ORGANIZATION_CREATED,
        MEMBER_ADDED,
        MEMBER_REMOVED,
        ROLE_CHANGED,
    }
)
"""Every type that is delivered to subscribers and sinks. Other actions reach the audit log only."""

Outcome = Literal["success", "failure", "denied"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """
    Something that happened, to be recorded.

    Attributes:
        action: One of the event types, or the name of an audit-only action (``auth.sign_in`` and the like).
        user_id: The user concerned; events are delivered in order for each.
        organization_id: The organization concerned.
        outcome: ``success``, ``failure`` (a wrong credential) or ``denied`` (not allowed).
        details: Small, public facts, camelCase: key id and prefix, actor type, reason. Never a secret (S20).
    """

    action: str
    user_id: str | None = None
    organization_id: str | None = None
    outcome: Outcome = "success"
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    A recorded event on its way to subscribers.

    Attributes:
        sequence: Its place in the outbox; grows in the order of the commits.
        id: Stable across deliveries; receivers drop doubles by it.
        data: ``userId`` and what the fact says; JSON types only.
    """

    sequence: int
    id: str
    type: str
    user_id: str | None
    at: datetime
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """
    Which audit records to read; what is None does not matter.

    Attributes:
        user_id: The user concerned, not who acted.
        since, until: Recorded at *since* or later, and before *until*.
    """

    user_id: str | None = None
    action: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPolicy:
    """
    Attributes:
        keep_records: How long audit records are kept; None for ever.
        keep_addresses: How long addresses and browsers in them are kept; None as long as the records.
    """

    keep_records: timedelta | None = None
    keep_addresses: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """
    One line of the audit log, contract section 9, with the hash that chains it to the line before.

    Attributes:
        fact: Its details hold the personal ones too, as long as they are kept.
        version: How it is hashed: 1 with everything it says, 2 with commitments of its personal parts.
        origin: Commitment to address and browser; of version 2.
        personal: Commitment to ``personal_details``; of version 2.
        personal_details: Those details that can name a person.
        personal_removed: Of version 1: whether a personal part was removed.
    """

    sequence: int
    id: str
    at: datetime
    audit_event: AuditEvent
    context: Context
    previous_hash: str
    hash: str
    version: int = 1
    origin: Commitment = NO_COMMITMENT
    personal: Commitment = NO_COMMITMENT
    personal_details: Mapping[str, object] = field(default_factory=dict)
    personal_removed: bool = False
