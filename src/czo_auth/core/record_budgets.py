"""
How many audit records a caller can cause in a day (S44). The audit log and the outbox store each of them, the log
permanently by default.

Every transaction is charged for what it records, in the transaction itself, so that no flow can forget it. Who is
charged:

- A user is charged for what their sessions and their keys do. A new sign-in does not start a new count.
- Actions that take a proof (a sign-in, a code, a password that is typed again) are counted separately, so that someone
  who holds a session or a key of the user, but can prove nothing, cannot keep the user from signing in,
  reauthenticating or changing the password.
- The service accounts of an organization are charged together.
- Strangers, whose requests have no verified identity, are charged by network.

Actions that only remove something are not charged, so that they are never refused: each needs something that an
earlier, charged action created. Actions that another limit in the database counts are not charged either, nor those
that follow a mailed link, whose request was charged.
Operators, the host's code and the service itself are not charged; administrators have a limit that is high enough for
bulk work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from czo_auth.core.budgets import Budget, consume_budget, network_budget
from czo_auth.core.context import Context
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.limits import (
    MAX_ADMINISTRATOR_RECORDS_A_DAY,
    MAX_FORGOTTEN_PROOFS_A_DAY,
    MAX_PROOF_RECORDS_A_DAY,
    MAX_RECORDS_A_DAY,
    MAX_STRANGER_RECORDS_A_DAY,
)

if TYPE_CHECKING:
    from czo_auth.core.transaction import Transaction

REMOVALS: Final = frozenset(
    {
        types.ACCOUNT_SECURED,
        types.API_KEY_LEAKED,
        types.API_KEY_REVOKED,
        types.DEVICE_DENIED,
        types.DEVICE_TRUST_REVOKED,
        types.EMAIL_CHANGE_CLOSED,
        types.INVITATION_CANCELED,
        types.INVITATION_REJECTED,
        types.MEMBER_REMOVED,
        types.ORGANIZATION_DELETED,
        types.PASSKEY_REMOVED,
        types.SERVICE_ACCOUNT_DELETED,
        types.SESSION_REVOKED,
        types.TWO_FACTOR_DISABLED,
        types.TWO_FACTOR_EXEMPTION_ENDED,
        types.TWO_FACTOR_RESET_CANCELLED,
        types.USER_BANNED,
        types.USER_DELETED,
        types.WEBHOOK_DELETED,
    }
)
"""
What ends something that exists. It cannot be recorded more often than what began it, which is charged or has a bound of
its own.
"""

COUNTED_ELSEWHERE: Final = frozenset(
    {
        types.ADMINISTRATION_DENIED,  # once an hour for each user and code
        types.API_KEY_ADDRESS_REFUSED,  # once an hour for each key
        types.CODE_REFUSED,  # wrong codes lock the factor (S4); only a proof, which is charged, clears the failures
        types.EMAIL_CHANGE_REQUESTED,  # MAX_EMAIL_CHANGES_A_DAY
        types.REFRESH_REUSE_DETECTED,  # once for each session, which it ends
        types.TWO_FACTOR_LOCKED,  # with every tenth CODE_REFUSED at most
    }
)
"""Records whose number another bound in the database limits, or that would be lost if they were refused."""

_FOLLOWS_PROOF: Final = frozenset({types.BACKUP_CODES_REGENERATED})
"""What secures an account and follows a proof that may have come with an earlier request (S7)."""

_LINK_METHODS: Final = frozenset({"mail", "operator"})
_METHODS_WITHOUT_PROOF: Final = frozenset({"session", "apikey"})
_CHARGED_KINDS: Final = frozenset({"anonymous", "user", "api_key"})


def charge_records(tx: Transaction, recorded: Iterable[tuple[AuditEvent, Context]]) -> None:
    """
    Charge the caller for what a transaction is about to record.

    If one of the user's records took a proof, all records that the user is charged for count as such.

    Raises:
        RateLimited: The caller's daily limit was reached; the transaction must be rolled back.
    """
    charged = [(event, context) for event, context in recorded if _is_charged(event, context)]
    if not charged:
        return
    proved = {context.user_id for event, context in charged if _is_proof(event, context)}
    uses = Counter(_budget(context, has_proof=context.user_id in proved) for _, context in charged)
    at = tx.acting_as(charged[0][1])
    # In one order, so that no two transactions wait for each other.
    for budget in sorted(uses, key=lambda each: each.name):
        consume_budget(at, budget, uses=uses[budget])


def reset_proof_budget(tx: Transaction, user_id: str) -> None:
    """
    Let a user whose password was replaced by mail sign in, even if somebody with the old one used up the daily limit.

    Only a few times a day, because mailed links would otherwise remove the limit.
    """
    name = f"proofs_forgotten/{user_id}"
    if tx.budgets.spend(Budget(name=name, limit=MAX_FORGOTTEN_PROOFS_A_DAY), now=tx.now) is None:
        tx.budgets.forget(f"records/proved/{user_id}")


def _is_charged(event: AuditEvent, context: Context) -> bool:
    if context.actor_kind not in _CHARGED_KINDS or context.method in _LINK_METHODS:
        return False
    if event.action == types.USER_REGISTERED and context.principal is None:
        return False  # MAX_SIGN_UPS_A_DAY
    return event.action not in REMOVALS and event.action not in COUNTED_ELSEWHERE


def _is_proof(event: AuditEvent, context: Context) -> bool:
    return context.user_id is not None and (
        event.action in _FOLLOWS_PROOF or context.method not in _METHODS_WITHOUT_PROOF
    )


def _budget(context: Context, *, has_proof: bool) -> Budget:
    principal = context.principal
    if has_proof:
        return Budget(name=f"records/proved/{context.user_id}", limit=MAX_PROOF_RECORDS_A_DAY)
    if principal is not None and principal.administers and principal.aal > 1:
        name = f"records/administrator/{context.user_id}"
        return Budget(name=name, limit=MAX_ADMINISTRATOR_RECORDS_A_DAY)
    if context.user_id is not None:
        return Budget(name=f"records/user/{context.user_id}", limit=MAX_RECORDS_A_DAY)
    if context.organization_id is not None:
        return Budget(name=f"records/organization/{context.organization_id}", limit=MAX_RECORDS_A_DAY)
    return network_budget("records/network", MAX_STRANGER_RECORDS_A_DAY, context)
