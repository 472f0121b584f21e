"""What happened to a user's own account, as they may see it."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.context import Context
from czo_auth.core.events.types import AuditFilter, AuditRecord
from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction


async def read_activity(
    services: Services, *, before: int | None = None, limit: int, context: Context
) -> Sequence[AuditRecord]:
    """
    Read the audit records about the caller, newest first.

    What the caller did to others is not among them.

    Args:
        before: Only records below this sequence.
        limit: Unit: records.
    """
    matching = AuditFilter(user_id=context.caller.require_user())

    def read(tx: Transaction) -> Sequence[AuditRecord]:
        return tx.audit_log.audit_before(before, matching, limit=limit)

    return await services.transactions.read(read, context)
