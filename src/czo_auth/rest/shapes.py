"""The JSON shapes of answers: camelCase, times with three digits, never a secret."""

from __future__ import annotations

from czo_auth.asgi.timestamps import format_timestamp, format_timestamp_or_none
from czo_auth.core.api_keys.key import ApiKey, OwnedApiKey
from czo_auth.core.events.types import AuditRecord
from czo_auth.core.passkeys.passkey import Passkey, is_phishing_resistant
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import Session
from czo_auth.core.two_factor.factor import TrustedDevice
from czo_auth.core.two_factor.reset import Reset
from czo_auth.core.users.own_fields import NO_USER_FIELDS, UserFields
from czo_auth.core.users.user import User

Json = dict[str, object]


def user(of: User, fields: UserFields = NO_USER_FIELDS) -> Json:
    """Shape a user, with the host's own *fields*."""
    return {
        **fields.shown(of.fields),
        "id": of.id,
        "email": of.email,
        "name": of.name,
        "emailVerified": of.email_verified,
        "image": of.image,
        "twoFactorEnabled": of.has_factor,
        "actorTypes": sorted(of.actor_types),
        "createdAt": format_timestamp(of.created_at),
        "updatedAt": format_timestamp(of.updated_at),
    }


def administered_user(of: User, fields: UserFields = NO_USER_FIELDS) -> Json:
    """Shape a user for an administrator."""
    return {
        **user(of, fields),
        "banned": of.banned_at is not None,
        "bannedAt": format_timestamp_or_none(of.banned_at),
    }


def session(of: Session, *, restricted_to: str | None) -> Json:
    """Shape a session as docs/reference/rest.md says."""
    return {
        "id": of.id,
        "actorType": of.actor_type,
        "organizationId": of.organization_id,
        "aal": of.aal,
        "amr": list(of.amr),
        "phishingResistant": is_phishing_resistant(aal=of.aal, amr=of.amr),
        "authTime": format_timestamp(of.auth_time),
        "restrictedTo": restricted_to,
        "createdAt": format_timestamp(of.created_at),
        "expiresAt": format_timestamp(of.expires_at),
    }


def listed_session(of: Session, *, current: str | None, restricted_to: str | None) -> Json:
    """Shape a session in a list."""
    return {
        **session(of, restricted_to=restricted_to),
        "ipAddress": of.ip,
        "userAgent": of.user_agent,
        "current": of.id == current,
    }


def client_session(of: Session) -> Json:
    """Shape a session as better-auth's client knows it; ``token`` is the public handle."""
    return {
        "id": of.id,
        "token": of.id,
        "userId": of.user_id,
        "expiresAt": format_timestamp(of.expires_at),
        "createdAt": format_timestamp(of.created_at),
        "updatedAt": format_timestamp(of.created_at),
        "ipAddress": of.ip,
        "userAgent": of.user_agent,
        "activeOrganizationId": of.organization_id,
    }


def principal(of: Principal) -> Json:
    """Shape what a credential turned out to be."""
    shaped: Json = {
        "kind": of.kind,
        "userId": of.user_id,
        "actorType": of.actor_type,
        "organizationId": of.organization_id,
        "aal": of.aal,
        "amr": list(of.amr),
        "phishingResistant": of.phishing_resistant,
        "scopes": list(of.scopes),
        "restrictedTo": of.restricted_to,
    }
    if of.api_key_id is not None:
        shaped["apiKeyId"] = of.api_key_id
    if of.session_id is not None:
        shaped["sessionId"] = of.session_id
    return shaped


def api_key(of: ApiKey) -> Json:
    """Shape an API key without the key."""
    return {
        "id": of.id,
        "name": of.name,
        "prefix": of.prefix,
        "organizationId": of.organization_id,
        "scopes": list(of.scopes),
        "metadata": None if of.metadata is None else dict(of.metadata),
        "enabled": of.enabled,
        "expiresAt": format_timestamp_or_none(of.expires_at),
        "lastUsedAt": format_timestamp_or_none(of.last_used_at),
        "createdAt": format_timestamp(of.created_at),
        "updatedAt": format_timestamp(of.updated_at),
        "rotatedAt": format_timestamp_or_none(of.rotated_at),
        "allowedIps": None if of.allowed_ips is None else list(of.allowed_ips),
        **rate_limit(of),
    }


def owned_api_key(of: OwnedApiKey) -> Json:
    """Shape an API key with its owner, for administrators."""
    return {**api_key(of.key), "userId": of.key.user_id, "ownerEmail": of.owner_email}


def rate_limit(of: ApiKey) -> Json:
    """Shape the rate limit of a key; the window in milliseconds, as better-auth's clients count it."""
    limit = of.rate_limit
    return {
        "rateLimitEnabled": limit is not None,
        "rateLimitMax": None if limit is None else limit.requests,
        "rateLimitTimeWindow": None if limit is None else limit.window_seconds * 1000,
    }


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
