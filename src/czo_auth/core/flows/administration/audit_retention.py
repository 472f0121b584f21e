"""
Retention of the audit log: old records and old addresses (S43).

Everything happens in batches, and the chain records where it was cut.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from czo_auth.core.context import Context, system_context
from czo_auth.core.events.chain import ChainState, cut_event, follow_chain, state_after_cut
from czo_auth.core.events.types import (
    AUDIT_ADDRESSES_REMOVED,
    AUDIT_CUT,
    AuditEvent,
    AuditFilter,
    AuditRecord,
)
from czo_auth.core.flows.accounts.erasure import Erasure
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction

BATCH: Final = 1000

_LOG = logging.getLogger("czo_auth.audit")


class AuditRetention:
    """Applies the retention of the audit log. Safe to run in several processes at once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._erasure = Erasure(services)

    async def apply(self, *, now: datetime) -> None:
        """Remove what is older than the policy allows, and finish interrupted erasures."""
        policy = self._services.policies.audit
        context = system_context(now)
        if policy.keep_addresses is not None:
            await self._repeat(partial(_remove_addresses, before=now - policy.keep_addresses), context)
        if policy.keep_records is not None:
            await self._repeat(partial(_cut, before=now - policy.keep_records), context)
        await self._erasure.finish(now=now)

    async def _repeat(self, step: Callable[[Transaction], bool], context: Context) -> None:
        while await self._services.transactions.run(step, context):
            continue


def newest_cut(tx: Transaction) -> tuple[int, ChainState]:
    """Return up to which sequence the log was cut, and the state of the chain after that; 0 when it never was."""
    found = tx.audit_log.audit_before(None, AuditFilter(action=AUDIT_CUT), limit=1)
    return state_after_cut(found[0]) if found else (0, ChainState())


def _cut(tx: Transaction, *, before: datetime) -> bool:
    """Delete one batch of the oldest records, and record it; return whether there may be more."""
    tx.audit_removal.lock_audit()
    through, state = newest_cut(tx)
    # The newest record stays, because the next one refers to it.
    oldest = tx.audit_log.audit_after(through, limit=BATCH + 1)
    due = _older(oldest[:-1], before)
    if not due:
        return False
    state, broken_at = follow_chain(due, state)
    if broken_at is not None:
        _LOG.error("the audit log is broken at sequence %d: retention leaves it as it is", broken_at)
        return False
    removed = tx.audit_removal.cut_audit(through=due[-1].sequence)
    tx.record(cut_event(due[-1].sequence, removed, state))
    return len(due) == BATCH


def _older(records: Sequence[AuditRecord], before: datetime) -> Sequence[AuditRecord]:
    """Return the leading records that are older, so that a cut leaves no gap."""
    younger = (index for index, record in enumerate(records) if record.at >= before)
    return records[: next(younger, len(records))]


def _remove_addresses(tx: Transaction, *, before: datetime) -> bool:
    tx.audit_removal.lock_audit()
    newest = tx.audit_log.audit_before(None, AuditFilter(action=AUDIT_ADDRESSES_REMOVED), limit=1)
    done = newest[0].audit_event.details.get("through") if newest else 0
    after = done if isinstance(done, int) else 0
    records, through = tx.audit_removal.remove_addresses(after=after, before=before, limit=BATCH)
    if not records:
        return False
    audit_event = AuditEvent(action=AUDIT_ADDRESSES_REMOVED, details={"through": through, "records": records})
    tx.record(audit_event)
    return records == BATCH
