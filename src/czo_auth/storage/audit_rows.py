"""Audit records as rows, and rows as records."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from czo_auth.core.context import Provenance
from czo_auth.core.events.chain import VERSION, committed_hash
from czo_auth.core.events.personal import Commitment, origin_of, split_details
from czo_auth.core.events.types import AuditRecord, Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What was recorded and waits for its place in the chain."""

    id: str
    at: datetime
    fact: Fact
    provenance: Provenance


def without_erased(entry: Entry, erased: Collection[str]) -> Entry:
    """Return *entry* without the personal parts of users who were deleted meanwhile."""
    fact, by = entry.fact, entry.provenance
    if by.user_id in erased or (by.user_id is None and fact.user_id in erased):
        by = replace(by, ip=None, user_agent=None)
    if by.user_id in erased or fact.user_id in erased:
        fact = replace(fact, details=split_details(fact.details)[0])
    return replace(entry, fact=fact, provenance=by)


def chained_row(entry: Entry, *, previous: str, sequence: int) -> dict[str, Any]:
    """Return the row of *entry* behind the record whose hash is *previous*."""
    fact, by = entry.fact, entry.provenance
    stay, personal_details = split_details(fact.details)
    origin = Commitment.of(origin_of(by.ip, by.user_agent))
    personal = Commitment.of(personal_details)
    own = committed_hash(
        previous,
        sequence=sequence,
        record_id=entry.id,
        at=entry.at,
        fact=replace(fact, details=stay),
        provenance=by,
        origin=origin,
        personal=personal,
    )
    return {
        "sequence": sequence,
        "id": entry.id,
        "at": entry.at,
        "action": fact.action,
        "outcome": fact.outcome,
        "user_id": fact.user_id,
        "organization_id": fact.organization_id,
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
        fact=Fact(
            action=row.action,
            user_id=row.user_id,
            organization_id=row.organization_id,
            outcome=row.outcome,
            details={**row.details, **personal_details},
        ),
        provenance=Provenance(
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
