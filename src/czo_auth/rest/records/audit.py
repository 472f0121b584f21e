"""The audit log."""

from __future__ import annotations

from typing import Self

from czo_auth.core.context import ActorKind
from czo_auth.core.events import types as core
from czo_auth.core.paging import Page
from czo_auth.rest.records.base import Count, Id, Object, Record, Timestamp


class AuditRecord(Record):
    """An audit record; ``user_id`` is the user concerned, ``actor_user_id`` the one who acted."""

    id: Id
    sequence: Count
    at: Timestamp
    action: str
    outcome: core.Outcome
    actor_kind: ActorKind
    actor_user_id: Id | None
    user_id: Id | None
    organization_id: Id | None
    method: str | None
    ip: str | None
    user_agent: str | None
    request_id: str | None
    details: Object
    hash: str

    @classmethod
    def of(cls, record: core.AuditRecord) -> Self:
        """Make the record of an audit event."""
        event, by = record.audit_event, record.context
        return cls(
            id=record.id,
            sequence=record.sequence,
            at=record.at,
            action=event.action,
            outcome=event.outcome,
            actor_kind=by.actor_kind,
            actor_user_id=by.user_id,
            user_id=event.user_id,
            organization_id=event.organization_id or by.organization_id,
            method=by.method,
            ip=by.ip,
            user_agent=by.user_agent,
            request_id=by.request_id,
            details=event.details,
            hash=record.hash,
        )


class AuditRecordList(Record):
    """A page of the audit log; ``next_cursor`` is the sequence of its last record if more follow."""

    audit: list[AuditRecord]
    total: Count
    next_cursor: Count | None

    @classmethod
    def of(cls, page: Page[core.AuditRecord], *, next_cursor: int | None) -> Self:
        """Answer with a page of records; *next_cursor* is the number of the last one, if there are more."""
        audit = [AuditRecord.of(each) for each in page.items]
        return cls(audit=audit, total=page.total, next_cursor=next_cursor)
