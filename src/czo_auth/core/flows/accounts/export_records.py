"""The parts of an export, each as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.usage import DayUsage
from czo_auth.core.events.types import AuditRecord
from czo_auth.core.limits import MAX_PAGE
from czo_auth.core.text import iso_timestamp
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email_change import EmailChange
from czo_auth.core.users.user import User
from czo_auth.core.users.user_fields import UserFields

Json = dict[str, object]


def sections(tx: Transaction, user: User, fields: UserFields) -> Json:
    """Return everything but the audit records."""
    days = tx.key_uses.days_of_user(user.id)
    return {
        "user": _user(user, fields.shown(user.fields)),
        "twoFactor": _two_factor(tx, user),
        "sessions": [
            {
                "id": session.id,
                "actorType": session.actor_type,
                "organizationId": session.organization_id,
                "aal": session.aal,
                "amr": list(session.amr),
                "ipAddress": session.ip,
                "userAgent": session.user_agent,
                "createdAt": iso_timestamp(session.created_at),
                "expiresAt": iso_timestamp(session.expires_at),
            }
            for session in tx.sessions.list_live(user.id, now=tx.now)
        ],
        "trustedDevices": [
            {
                "id": device.id,
                "ipAddress": device.ip,
                "userAgent": device.user_agent,
                "createdAt": iso_timestamp(device.created_at),
                "lastUsedAt": iso_timestamp(device.last_used_at),
                "expiresAt": iso_timestamp(device.expires_at),
            }
            for device in tx.challenges.list_trusted_devices(user.id, limit=MAX_PAGE, now=tx.now)
        ],
        "passkeys": [
            {
                "id": passkey.id,
                "name": passkey.name,
                "deviceType": passkey.device_type,
                "backedUp": passkey.backed_up,
                "aaguid": passkey.aaguid,
                "transports": list(passkey.transports),
                "createdAt": iso_timestamp(passkey.created_at),
                "lastUsedAt": None if passkey.last_used_at is None else iso_timestamp(passkey.last_used_at),
            }
            for passkey in tx.passkeys.list(user.id)
        ],
        "apiKeys": [_api_key(key, days.get(key.id, ())) for key in tx.api_keys.list_kept(user.id)],
        "madeServiceAccountKeys": [
            {
                "id": key.id,
                "prefix": key.prefix,
                "organizationId": key.organization_id,
                "serviceAccountId": key.service_account_id,
                "createdAt": iso_timestamp(key.created_at),
            }
            for key in tx.api_keys.list_made_by(user.id)
        ],
        "organizations": [
            {
                "id": organization.id,
                "name": organization.name,
                "slug": organization.slug,
                "role": member.role,
                "joinedAt": iso_timestamp(member.created_at),
                "twoFactorDueAt": None
                if member.two_factor_due_at is None
                else iso_timestamp(member.two_factor_due_at),
            }
            for organization, member in tx.organizations.list_memberships(user.id)
        ],
        **_invitations(tx, user),
        "emailChanges": [_email_change(change) for change in tx.email_changes.list_of(user.id)],
    }


def audit_json(record: AuditRecord, user_id: str) -> Json:
    """Return an audit record, without other actors and their address and browser."""
    by, audit_event = record.context, record.audit_event
    own = by.user_id in (user_id, None)
    return {
        "id": record.id,
        "at": iso_timestamp(record.at),
        "action": audit_event.action,
        "outcome": audit_event.outcome,
        "byYou": by.user_id == user_id,
        "actorKind": by.actor_kind,
        "method": by.method,
        "organizationId": audit_event.organization_id,
        "ip": by.ip if own else None,
        "userAgent": by.user_agent if own else None,
        "details": dict(audit_event.details) if audit_event.user_id == user_id else {},
    }


def _user(user: User, shown: Mapping[str, object]) -> Json:
    return {
        **shown,
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "image": user.image,
        "emailVerified": user.email_verified,
        "actorTypes": sorted(user.actor_types),
        "externalId": user.external_id,
        "language": user.language,
        "securedAt": iso_timestamp(user.secured_at) if user.secured_at else None,
        "hasPassword": user.password_hash is not None,
        "banned": user.banned_at is not None,
        "createdAt": iso_timestamp(user.created_at),
        "updatedAt": iso_timestamp(user.updated_at),
    }


def _two_factor(tx: Transaction, user: User) -> Json:
    factor = tx.two_factor.find_factor(user.id)
    reset = tx.resets.find_waiting(user.id)
    return {
        "enabled": user.has_factor,
        "enabledAt": iso_timestamp(factor.enabled_at) if factor else None,
        "backupCodesRemaining": tx.two_factor.count_codes(user.id) if factor else 0,
        "reset": None
        if reset is None
        else {"askedAt": iso_timestamp(reset.asked_at), "dueAt": iso_timestamp(reset.due_at)},
    }


def _api_key(key: ApiKey, days: Sequence[DayUsage]) -> Json:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "organizationId": key.organization_id,
        "scopes": list(key.scopes),
        "metadata": None if key.metadata is None else dict(key.metadata),
        "enabled": key.enabled,
        "allowedIps": None if key.allowed_ips is None else list(key.allowed_ips),
        "createdAt": iso_timestamp(key.created_at),
        "expiresAt": None if key.expires_at is None else iso_timestamp(key.expires_at),
        "lastUsedAt": None if key.last_used_at is None else iso_timestamp(key.last_used_at),
        "lastUsedIp": key.last_used_ip,
        "useCount": key.use_count,
        "quotaMax": key.quota_max,
        "quotaPeriod": key.quota_period,
        "usage": [{"day": each.day.isoformat(), "used": each.used, "refused": each.refused} for each in days],
    }


def _invitations(tx: Transaction, user: User) -> Json:
    """Return invitations to the user, and those that they sent without the addresses, which are other people's."""
    received = tx.organizations.list_invitations_to(user.email)
    return {
        "invitationsReceived": [
            {
                "id": each.id,
                "organizationId": each.organization_id,
                "role": each.role,
                "status": each.status,
                "createdAt": iso_timestamp(each.created_at),
            }
            for each in received
        ],
        "invitationsSent": [
            {
                "id": each.id,
                "organizationId": each.organization_id,
                "role": each.role,
                "status": each.status,
                "createdAt": iso_timestamp(each.created_at),
            }
            for each in tx.organizations.list_invitations_by(user.id)
        ],
    }


def _email_change(change: EmailChange) -> Json:
    # Until the link is used, the new address may belong to someone else; an emptied address would reveal that it did.
    return {
        "id": change.id,
        "previousEmail": change.old_email,
        "newEmail": None if change.confirmed_at is None else change.new_email,
        "askedAt": iso_timestamp(change.asked_at),
        "confirmedAt": None if change.confirmed_at is None else iso_timestamp(change.confirmed_at),
    }
