"""The chain through the audit log: each record's hash covers the record and the hash before it (S35)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from czo_auth.core.events.types import AuditRecord, Fact
from czo_auth.core.provenance import Provenance
from czo_auth.crypto import tokens

GENESIS: Final = "0" * 64
"""What stands before the first record."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def chain_hash(
    previous: str, *, sequence: int, record_id: str, at: datetime, fact: Fact, provenance: Provenance
) -> str:
    """
    Hash a record together with the hash of the one before.

    Args:
        previous: Hash of the record before, 64 hex digits; ``GENESIS`` for the first.
        at: Aware time; whole milliseconds count, since that is what is stored.

    Returns:
        SHA-256 over *previous* and the record as canonical JSON (sorted keys, no spaces, ASCII); 64 hex digits.
    """
    record = {
        "sequence": sequence,
        "id": record_id,
        "at": (at - _EPOCH) // _MILLISECOND,
        "action": fact.action,
        "outcome": fact.outcome,
        "userId": fact.user_id,
        "organizationId": fact.organization_id,
        "details": dict(fact.details),
        "actorKind": provenance.actor_kind,
        "actorUserId": provenance.user_id,
        "actorOrganizationId": provenance.organization_id,
        "method": provenance.method,
        "ip": provenance.ip,
        "userAgent": provenance.user_agent,
        "requestId": provenance.request_id,
    }
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return tokens.digest_bytes(f"{previous}\n{canonical}".encode("ascii"))


def verify_chain(records: Iterable[AuditRecord], previous: str = GENESIS) -> int | None:
    """
    Find the first record that does not continue the chain: changed, moved, or with one missing before it.

    Records cut off at the end leave no trace in the chain; whoever fears that keeps the last hash elsewhere.

    Args:
        records: Oldest first, without gaps.
        previous: Hash of the record before the first of them.

    Returns:
        Its sequence, or None when all is well.
    """
    for record in records:
        expected = chain_hash(
            previous,
            sequence=record.sequence,
            record_id=record.id,
            at=record.at,
            fact=record.fact,
            provenance=record.provenance,
        )
        if record.previous_hash != previous or record.hash != expected:
            return record.sequence
        previous = record.hash
    return None
