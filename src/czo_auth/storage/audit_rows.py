"""Audit records as rows, and rows as records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from czo_auth.core.context import Context
from czo_auth.core.events.chain import VERSION, committed_hash
from czo_auth.core.events.personal import Commitment, origin_of, split_details
from czo_auth.core.events.types import AuditEvent, AuditRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A buffered record that has no position in the chain yet."""

    id: str
    at: datetime
    audit_event: AuditEvent
    context: Context


def without_erased(entry: Entry, erased: Collection[str]) -> Entry:
    """Return *entry* without the personal parts of users who were deleted meanwhile."""
    audit_event, by = entry.audit_event, entry.context
    if by.user_id in erased or (by.user_id is None and audit_event.user_id in erased):
        by = replace(by, ip=None, user_agent=None)
    if by.user_id in erased or audit_event.user_id in erased:
        audit_event = replace(audit_event, details=split_details(audit_event.details)[0])
    return replace(entry, audit_event=audit_event, context=by)


def chained_row(entry: Entry, *, previous: str, sequence: int) -> dict[str, Any]:
    """Return the row of *entry* behind the record whose hash is *previous*."""
    audit_event, by = entry.audit_event, entry.context
    stay, personal_details = split_details(audit_event.details)
    origin = Commitment.of(origin_of(by.ip, by.user_agent))
    personal = Commitment.of(personal_details)
    own = committed_hash(
        previous,
        sequence=sequence,
        record_id=entry.id,
        at=entry.at,
        audit_event=replace(audit_event, details=stay),
        context=by,
        origin=origin,
        personal=personal,
    )
    return {
        "sequence": sequence,
        "id": entry.id,
        "at": entry.at,
        "action": audit_event.action,
        "outcome": audit_event.outcome,
        "user_id": audit_event.user_id,
        "organization_id": audit_event.organization_id,
        "details": stay,
        "actor_kind": by.actor_kind,
        "actor_user_id": by.user_id,
        "actor_organization_id": by.organization_id,
        "method": by.method,
        "ip": by.ip,
        "user_agent": by.user_agent,
        "request_id": by.request_id,
        "previous_hash": previous,
        "hash": own,
        "version": VERSION,
        "origin_commitment": origin.digest,
        "origin_salt": origin.salt,
        "personal": personal_details or None,
        "personal_commitment": personal.digest,
        "personal_salt": personal.salt,
    }


def audit_record(row: Row[Any]) -> AuditRecord:
    """Return the record that *row* holds."""
    personal_details = row.personal or {}
    return AuditRecord(
        sequence=row.sequence,
        id=row.id,
        at=row.at,
        audit_event=AuditEvent(
            action=row.action,
            user_id=row.user_id,
            organization_id=row.organization_id,
            outcome=row.outcome,
            details={**row.details, **personal_details},
        ),
        context=Context(
            now=row.at,
            actor_kind=row.actor_kind,
            user_id=row.actor_user_id,
            organization_id=row.actor_organization_id,
            method=row.method,
            ip=row.ip,
            user_agent=row.user_agent,
            request_id=row.request_id,
        ),
        previous_hash=row.previous_hash,
        hash=row.hash,
        version=row.version or 1,
        origin=Commitment(digest=row.origin_commitment, salt=row.origin_salt),
        personal=Commitment(digest=row.personal_commitment, salt=row.personal_salt),
        personal_details=personal_details,
        personal_removed=bool(row.personal_removed),
    )
