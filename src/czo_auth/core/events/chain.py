"""
The chain through the audit log: each record's hash covers the record and the hash before it (S35).

Records of version 1 hash all of their content. Those of version 2 hash commitments in place of their personal parts
(``personal``), so that these can be removed. One record at the upgrade closes version 1. It holds their number, the
last hash, and a digest of their content without personal parts, which verifies them once those parts are removed. If
retention removed the oldest records, a later record says how far, and which hash to start from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from czo_auth.core.context import Context
from czo_auth.core.events.personal import (
    PERSONAL_IN_VERSION_1,
    Commitment,
    canonical_json,
    origin_of,
    split_details,
)
from czo_auth.core.events.types import AUDIT_CUT, AUDIT_VERSION_1_CLOSED, AuditEvent, AuditRecord
from czo_auth.crypto import tokens

GENESIS: Final = "0" * 64
"""The hash before the first record."""

VERSION: Final = 2
"""The version that is written."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """
    The state of the chain before a record.

    Attributes:
        hash: Of the record before; ``GENESIS`` before the first.
        public_digest: Over the records of version 1 so far, without their personal parts; None if unknown, in which
            case it is not checked.
    """

    hash: str = GENESIS
    public_digest: str | None = GENESIS


def chain_hash(
    previous: str, *, sequence: int, record_id: str, at: datetime, audit_event: AuditEvent, context: Context
) -> str:
    """
    Hash a record of version 1 together with the hash of the previous one.

    Args:
        previous: Hash of the record before, 64 hex digits; ``GENESIS`` for the first.
        at: Aware time; whole milliseconds count, since that is what is stored.

    Returns:
        SHA-256 over *previous* and the record as canonical JSON (sorted keys, no spaces, ASCII); 64 hex digits.
    """
    origin = {"ip": context.ip, "userAgent": context.user_agent}
    record = _content(sequence, record_id, at, audit_event, audit_event.details, context) | origin
    return _linked(previous, record)


def committed_hash(
    previous: str,
    *,
    sequence: int,
    record_id: str,
    at: datetime,
    audit_event: AuditEvent,
    context: Context,
    origin: Commitment,
    personal: Commitment,
) -> str:
    """
    Hash a record of version 2, whose *audit_event* has no personal details, together with the hash of the previous one.

    Returns:
        As `chain_hash`.
    """
    record = _content(sequence, record_id, at, audit_event, audit_event.details, context)
    return _linked(previous, {**record, "version": 2, "origin": origin.digest, "personal": personal.digest})


def verify_chain(records: Iterable[AuditRecord], previous: str = GENESIS) -> int | None:
    """
    Find the first record that does not continue the chain: changed, moved, or with one missing before it.

    Records cut off at the end leave no trace in the chain; keep the last hash elsewhere to notice that.

    Args:
        records: Oldest first, without gaps.
        previous: Hash of the record before the first of them.

    Returns:
        Its sequence, or None if the chain is intact.
    """
    start = ChainState(hash=previous, public_digest=GENESIS if previous == GENESIS else None)
    return follow_chain(records, start)[1]


def follow_chain(records: Iterable[AuditRecord], state: ChainState) -> tuple[ChainState, int | None]:
    """Return the state after the last record that continues the chain, and the sequence of the first that does not."""
    for record in records:
        if not _continues(record, state):
            return state, record.sequence
        digest = state.public_digest
        if record.version == 1 and digest is not None:
            digest = public_digest(digest, record)
        state = ChainState(hash=record.hash, public_digest=digest)
    return state, None


def public_digest(previous: str, record: AuditRecord) -> str:
    """Hash the content of a record of version 1 without its personal parts, together with those before it."""
    stay, _ = split_details(record.audit_event.details, personal=PERSONAL_IN_VERSION_1)
    content = _content(record.sequence, record.id, record.at, record.audit_event, stay, record.context)
    return _linked(previous, {**content, "hash": record.hash})


def state_after_cut(record: AuditRecord) -> tuple[int, ChainState]:
    """Read from a record of retention up to which sequence records were removed, and the state after them."""
    details = record.audit_event.details
    through, last, digest = details.get("through"), details.get("lastHash"), details.get("publicDigest")
    return (
        through if isinstance(through, int) else 0,
        ChainState(hash=str(last), public_digest=digest if isinstance(digest, str) else None),
    )


def cut_event(through: int, records: int, state: ChainState) -> AuditEvent:
    """Return what the chain records about its own truncation."""
    details: dict[str, object] = {"through": through, "records": records, "lastHash": state.hash}
    if state.public_digest is not None:
        details["publicDigest"] = state.public_digest
    return AuditEvent(action=AUDIT_CUT, details=details)


def closing_event(records: int, state: ChainState) -> AuditEvent:
    """Return the record that closes version 1."""
    details = {"records": records, "lastHash": state.hash, "publicDigest": state.public_digest}
    return AuditEvent(action=AUDIT_VERSION_1_CLOSED, details=details)


def _continues(record: AuditRecord, state: ChainState) -> bool:
    if record.previous_hash != state.hash:
        return False
    if record.version == 1:
        # Without its personal parts, a record of version 1 cannot be hashed again; the closing record verifies it.
        return record.personal_removed or record.hash == _version_1_hash(record, state)
    return _is_committed(record, state) and _closes(record, state)


def _is_committed(record: AuditRecord, state: ChainState) -> bool:
    origin = origin_of(record.context.ip, record.context.user_agent)
    if not (record.origin.fits(origin) and record.personal.fits(record.personal_details)):
        return False
    stay = {
        key: value for key, value in record.audit_event.details.items() if key not in record.personal_details
    }
    own = committed_hash(
        state.hash,
        sequence=record.sequence,
        record_id=record.id,
        at=record.at,
        audit_event=replace(record.audit_event, details=stay),
        context=record.context,
        origin=record.origin,
        personal=record.personal,
    )
    return record.hash == own


def _closes(record: AuditRecord, state: ChainState) -> bool:
    """Whether *record*, if it closes version 1, matches the records before it."""
    if record.audit_event.action != AUDIT_VERSION_1_CLOSED:
        return True
    details = record.audit_event.details
    return (
        details.get("records") == record.sequence - 1
        and details.get("lastHash") == state.hash
        and state.public_digest in (None, details.get("publicDigest"))
    )


def _version_1_hash(record: AuditRecord, state: ChainState) -> str:
    return chain_hash(
        state.hash,
        sequence=record.sequence,
        record_id=record.id,
        at=record.at,
        audit_event=record.audit_event,
        context=record.context,
    )


def _content(
    sequence: int,
    record_id: str,
    at: datetime,
    audit_event: AuditEvent,
    details: Mapping[str, object],
    context: Context,
) -> dict[str, object]:
    """Return the content of a record, without its origin."""
    return {
        "sequence": sequence,
        "id": record_id,
        "at": (at - _EPOCH) // _MILLISECOND,
        "action": audit_event.action,
        "outcome": audit_event.outcome,
        "userId": audit_event.user_id,
        "organizationId": audit_event.organization_id,
        "details": dict(details),
        "actorKind": context.actor_kind,
        "actorUserId": context.user_id,
        "actorOrganizationId": context.organization_id,
        "method": context.method,
        "requestId": context.request_id,
    }


def _linked(previous: str, record: Mapping[str, object]) -> str:
    return tokens.digest_bytes(f"{previous}\n{canonical_json(record)}".encode("ascii"))
