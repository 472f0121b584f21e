"""Canceling a pending reset when its reason no longer applies."""

from __future__ import annotations

from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.reset import Outcome


def cancel_reset(tx: Transaction, user_id: str, *, outcome: Outcome) -> bool:
    """
    Cancel a user's pending reset; part of the transaction of the operation that cancels it.

    Housekeeping notifies the user, because a step sends no mail.

    Returns:
        Whether one was pending.
    """
    reset = tx.resets.find_waiting(user_id)
    if reset is None or not tx.resets.close(reset.id, outcome=outcome, now=tx.now):
        return False
    tx.record(
        AuditEvent(
            action=types.TWO_FACTOR_RESET_CANCELLED,
            user_id=user_id,
            details={"resetId": reset.id, "reason": outcome},
        )
    )
    return True
