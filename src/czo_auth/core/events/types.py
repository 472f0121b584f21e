"""Events that are delivered, and the other actions of the audit log, each with its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from czo_auth.core.context import Context
from czo_auth.core.events.personal import NO_COMMITMENT, Commitment

EVENT_MEANINGS: dict[str, str] = {}
"""What each event type means, for the reference page."""
AUDIT_MEANINGS: dict[str, str] = {}
"""What each action means that reaches the audit log only."""


def _event(action: str, meaning: str) -> str:
    """Declare an action that is delivered to subscribers and sinks."""
    EVENT_MEANINGS[action] = meaning
    return action


def _action(action: str, meaning: str) -> str:
    """Declare an action that reaches the audit log only."""
    AUDIT_MEANINGS[action] = meaning
    return action


# --- events ----------------------------------------------------------------------------------------------------------
TWO_FACTOR_ENABLED = _event(
    "auth.2fa.enabled", "A second factor was confirmed, or replaced by a new one (`replaced`)."
)
TWO_FACTOR_DISABLED = _event(
    "auth.2fa.disabled", "A second factor was turned off, by its owner or by an administrator (`reset`)."
)
BACKUP_CODE_USED = _event("auth.2fa.backup_code_used", "A backup code was used; `remaining` are left.")
BACKUP_CODES_REGENERATED = _event(
    "auth.2fa.backup_codes_regenerated", "A new set of backup codes replaced the old one."
)
TWO_FACTOR_LOCKED = _event(
    "auth.2fa.locked", "Consecutive wrong codes locked (or `stopped`) the account's second factors."
)
TWO_FACTOR_RESET_ASKED = _event(
    "auth.2fa.reset_asked", "An administrator requested a reset of a second factor, due in `waitSeconds`."
)
TWO_FACTOR_RESET_CANCELLED = _event(
    "auth.2fa.reset_cancelled", "A pending reset was canceled or dropped; `reason` says why."
)
PASSKEY_ADDED = _event("auth.passkey.added", "A passkey was added.")
PASSKEY_REMOVED = _event("auth.passkey.removed", "A passkey was removed.")
PASSKEY_COUNTER_REGRESSED = _event(
    "auth.passkey.counter_regressed", "A passkey's counter went back: it may have been copied."
)
API_KEY_CREATED = _event("auth.apikey.created", "An API key was created.")
API_KEY_REVOKED = _event("auth.apikey.revoked", "An API key ended before its expiry; `reason` says why.")
API_KEY_ROTATED = _event("auth.apikey.rotated", "An API key was rotated; `replaces` is the old one's id.")
API_KEY_LEAKED = _event(
    "auth.apikey.leaked",
    "An API key was reported as leaked; `response` says whether it was revoked or quarantined.",
)
API_KEY_EXPIRING = _event(
    "auth.apikey.expiring", "An API key expires in `daysLeft` days; `reason` is `expiry` or `unused`."
)
API_KEY_EXPIRED = _event(
    "auth.apikey.expired", "An API key was ended because nobody used it (`reason`: `unused`)."
)
API_KEY_TRANSFERRED = _event(
    "auth.apikey.transferred",
    "A member's API key moved to a service account; `replaces` is the old one's id, `previousUserId` its owner.",
)
SERVICE_ACCOUNT_CREATED = _event("auth.service_account.created", "A service account was created.")
SERVICE_ACCOUNT_UPDATED = _event(
    "auth.service_account.updated",
    "A service account was changed, enabled or disabled; `changed` lists what, `enabled` is the new state.",
)
SERVICE_ACCOUNT_DELETED = _event(
    "auth.service_account.deleted", "A service account was deleted; its API keys ended with it."
)
USER_REGISTERED = _event("auth.user.registered", "A user was created.")
USER_UPDATED = _event("auth.user.updated", "A user changed; `changed` names what.")
ACCOUNT_SECURED = _event(
    "auth.user.secured",
    "A user reported by the link in a mail that an action was not theirs: sessions and password ended.",
)
USER_BANNED = _event("auth.user.banned", "A user was banned; sessions and keys ended with it.")
USER_DELETED = _event(
    "auth.user.deleted", "A user was deleted with all stored data; audit records keep the id."
)
SESSION_CREATED = _event("auth.session.created", "A user signed in, or a session was renewed.")
SESSION_REVOKED = _event("auth.session.revoked", "A session ended before its expiry; `reason` says why.")
REFRESH_REUSE_DETECTED = _event(
    "auth.refresh.reuse_detected",
    "A used refresh token was presented again, so it was copied. Its family was revoked.",
)
ORGANIZATION_CREATED = _event("auth.org.created", "An organization was created.")
MEMBER_ADDED = _event("auth.org.member_added", "A user became a member.")
MEMBER_REMOVED = _event("auth.org.member_removed", "A member left or was removed; `reason` says which.")
ROLE_CHANGED = _event("auth.role.changed", "A user's actor types, or a member's role, changed.")

EVENT_TYPES = frozenset(EVENT_MEANINGS)
"""Every type that is delivered to subscribers and sinks. Other actions reach the audit log only."""

# --- actions of the audit log only ----------------------------------------------------------------------------------
DEVICE_APPROVED = _action(
    "auth.device.approved", "A user approved a device in the browser; it got an API key (`apiKeyId`)."
)
DEVICE_DENIED = _action("auth.device.denied", "A device's request for an API key was denied.")
DEVICE_TRUSTED = _action("auth.2fa.device_trusted", "A browser was trusted to skip the second step.")
DEVICE_TRUST_REVOKED = _action("auth.2fa.device_revoked", "Trust in a browser was revoked.")
TWO_FACTOR_RESET = _action(
    "auth.2fa.reset", "An administrator or operator reset a second factor; `reason` says why."
)
CODE_REFUSED = _action("auth.2fa.code", "A code was wrong; `failures` counts consecutive ones.")
ADMINISTRATION_DENIED = _action(
    "auth.admin.access", "A request to an administration route was refused; `code` says why."
)
API_KEY_ADDRESS_REFUSED = _action(
    "auth.apikey.address_refused",
    "An API key was used from an address that is not on its list; recorded once an hour for each key.",
)
API_KEY_CHANGED = _action(
    "auth.apikey.changed",
    "An API key was changed; `changed` names what. Where the quota changed, `quotaBefore` and `quota` say how, like"
    " `1000/day`.",
)
API_KEY_LEAK_REPORTED = _action(
    "auth.apikey.leak_reported", "Someone reported leaked API keys; `reported` and `acted` are counts."
)
EMAIL_CHANGE_CLOSED = _action(
    "auth.user.email_change_closed", "A change of address ended without effect; `reason` says why."
)
EMAIL_CHANGE_REQUESTED = _action("auth.user.email_change_requested", "A change of address was requested.")
ORGANIZATION_HANDED_OVER = _action(
    "auth.org.handed_over", "An administrator made a member the owner; `reason` says why."
)
TWO_FACTOR_EXEMPTED = _action(
    "auth.org.two_factor_exempted",
    "A member may act without a second factor until a date; `reason` says why.",
)
TWO_FACTOR_EXEMPTION_ENDED = _action(
    "auth.org.two_factor_exemption_ended", "A member's exemption from two factors was ended."
)
USER_EXPORTED = _action("auth.user.exported", "All stored data of a user was exported.")
AUDIT_VERSION_1_CLOSED = _action(
    "auth.audit.version_1_closed", "The records before this one are of the first version."
)
AUDIT_CUT = _action("auth.audit.cut", "Old audit records were deleted.")
AUDIT_ADDRESSES_REMOVED = _action(
    "auth.audit.addresses_removed", "Addresses and browsers were removed from old audit records."
)
BACKUP_RESTORED = _action(
    "auth.backup.restored",
    "An operator restored a backup: what was recorded after `lastRecord`, at `lastRecordAt`, is lost.",
)
VERIFICATION_REQUESTED = _action(
    "auth.email.verification_requested", "A mail to verify an address was requested."
)
SINK_RETIRED = _action(
    "auth.events.sink_retired", "An operator retired a sink; events no longer wait for it."
)
EVENTS_REPLAYED = _action(
    "auth.events.replayed", "An operator sent dead-lettered events to their sink again; `count` of them."
)
ORGANIZATION_UPDATED = _action("auth.org.updated", "An organization was changed; `changed` names what.")
ORGANIZATION_DELETED = _action("auth.org.deleted", "An organization was deleted.")
INVITATION_SENT = _action("auth.org.invited", "A person was invited to an organization.")
INVITATION_CANCELED = _action("auth.org.invitation_canceled", "An invitation was canceled.")
INVITATION_REJECTED = _action("auth.org.invitation_rejected", "An invitation was rejected by its recipient.")
PASSKEY_REFUSED = _action("auth.passkey.refused", "A passkey was refused.")
PASSKEY_RENAMED = _action("auth.passkey.renamed", "A passkey was renamed.")
PASSWORD_RESET_REQUESTED = _action(
    "auth.password.reset_requested", "A mail to reset a password was requested."
)
PASSWORD_RECOVERY_ISSUED = _action(
    "auth.password.recovery_issued", "An operator issued a link to set a new password."
)
REAUTHENTICATED = _action("auth.reauthenticated", "A user reauthenticated for a change that requires it.")
SIGN_IN = _action("auth.sign_in", "A password was wrong, or its user is banned.")
STEP_UP = _action("auth.step_up", "A second factor was verified within a session.")
USER_UNBANNED = _action("auth.user.unbanned", "A ban was lifted.")
WEBHOOK_CREATED = _action("auth.webhook.created", "A webhook endpoint was added.")
WEBHOOK_UPDATED = _action("auth.webhook.updated", "A webhook endpoint was changed; `changed` names what.")
WEBHOOK_DELETED = _action("auth.webhook.deleted", "A webhook endpoint was deleted.")
WEBHOOK_SECRET_ROTATED = _action("auth.webhook.secret_rotated", "A webhook endpoint got a new secret.")
WEBHOOK_TESTED = _action("auth.webhook.tested", "A test message was sent to a webhook endpoint.")
WEBHOOK_REPLAYED = _action("auth.webhook.replayed", "Deliveries to a webhook endpoint were started again.")
WEBHOOK_DISABLED = _action(
    "auth.webhook.disabled", "A webhook endpoint was disabled after failed deliveries."
)
WEBHOOK_SWITCHED_OFF = _action("auth.webhook.switched_off", "A webhook endpoint was switched off.")

ACTIONS = EVENT_TYPES | AUDIT_MEANINGS.keys()
"""Every action that this version records."""

Outcome = Literal["success", "failure", "denied"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """
    An event to be recorded.

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
        sequence: Its position in the outbox; grows in commit order.
        id: Stable across deliveries; receivers use it to drop duplicates.
        data: ``userId`` and the details of the audit event; JSON types only.
    """

    sequence: int
    id: str
    type: str
    user_id: str | None
    at: datetime
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """
    Which events to read; None means any.

    Attributes:
        since: Recorded at *since* or later.
    """

    type: str | None = None
    user_id: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """
    Which audit records to read; None means any.

    Attributes:
        user_id: The user concerned, not who acted.
        person: The user concerned, or who acted.
        since, until: Recorded at *since* or later, and before *until*.
    """

    user_id: str | None = None
    person: str | None = None
    action: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPolicy:
    """
    Attributes:
        keep_records: How long audit records are kept; None for forever.
        keep_addresses: How long addresses and browsers in them are kept; None as long as the records.
    """

    keep_records: timedelta | None = None
    keep_addresses: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """
    One line of the audit log, docs/reference/events.md, with the hash that chains it to the line before.

    Attributes:
        audit_event: What happened. Its details include the personal ones until those are removed.
        version: How it is hashed: 1 over its whole content, 2 over commitments of its personal parts.
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
