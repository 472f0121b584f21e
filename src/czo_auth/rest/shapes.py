"""The JSON shapes of answers: camelCase, times with three digits, never a secret."""

from __future__ import annotations

from czo_auth.asgi.timestamps import format_timestamp, format_timestamp_or_none
from czo_auth.core.events.types import AuditRecord
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.two_factor.factor import TrustedDevice
from czo_auth.core.two_factor.reset import Reset
from czo_auth.rest.records import Json


def trusted_device(of: TrustedDevice) -> Json:
    """Shape a trusted device."""
    return {
        "id": of.id,
        "userAgent": of.user_agent,
        "ipAddress": of.ip,
        "createdAt": format_timestamp(of.created_at),
        "lastUsedAt": format_timestamp(of.last_used_at),
        "expiresAt": format_timestamp(of.expires_at),
    }


def passkey(of: Passkey) -> Json:
    """Shape a passkey as better-auth's client knows it, without its public key."""
    return {
        "id": of.id,
        "name": of.name,
        "credentialID": of.credential_id,
        "userId": of.user_id,
        "aaguid": of.aaguid,
        "deviceType": of.device_type,
        "backedUp": of.backed_up,
        "transports": ",".join(of.transports),
        "createdAt": format_timestamp(of.created_at),
        "lastUsedAt": format_timestamp_or_none(of.last_used_at),
    }


def own_reset(of: Reset) -> Json:
    """Shape the reset that waits for the caller: not who asked, nor why, which administrators tell each other."""
    return {"id": of.id, "askedAt": format_timestamp(of.asked_at), "dueAt": format_timestamp(of.due_at)}


def administered_reset(of: Reset) -> Json:
    """Shape a reset that waits for an administrator."""
    return {**own_reset(of), "userId": of.user_id, "askedBy": of.asked_by, "reason": of.reason}


def audit_record(of: AuditRecord) -> Json:
    """Shape an audit record; ``userId`` is the user concerned, ``actorUserId`` the one who acted."""
    by = of.context
    return {
        "id": of.id,
        "sequence": of.sequence,
        "at": format_timestamp(of.at),
        "action": of.audit_event.action,
        "outcome": of.audit_event.outcome,
        "actorKind": by.actor_kind,
        "actorUserId": by.user_id,
        "userId": of.audit_event.user_id,
        "organizationId": of.audit_event.organization_id or by.organization_id,
        "method": by.method,
        "ip": by.ip,
        "userAgent": by.user_agent,
        "requestId": by.request_id,
        "details": dict(of.audit_event.details),
        "hash": of.hash,
    }
