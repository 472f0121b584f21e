"""
What ends when a password reset proves an address for the first time.

Until then, it is unknown whether the account's creator owns its address. Someone who registered another person's
address must not keep access after the owner took over the account.
"""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.context import Context
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.accounts.change_email import close_changes
from czo_auth.core.flows.api_keys.revoke import revoke_keys
from czo_auth.core.flows.factors import remove_all_factors
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.mail_drafts import Ended
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

REASON = "address_proved"


def end_earlier_access(services: Services, tx: Transaction, user: User, *, by: Context) -> Sequence[Ended]:
    """
    End sessions, API keys, trusted devices and waiting changes of address of a locked user, each recorded.

    Second factors end too, unless `keeps_factors` says that they stay.

    Returns:
        What existed and was ended, for the mail.
    """
    ended: list[Ended] = []
    tx = tx.acting_as(by)
    if tx.sessions.list_live(user.id, now=tx.now):
        ended.append("sessions")
    end_sessions(tx, user.id, reason=REASON)
    if tx.api_keys.count_live(user.id, now=tx.now):
        ended.append("api_keys")
    revoke_keys(tx, user_id=user.id, organization_id=None, reason=REASON)
    if tx.challenges.count_trusted_devices(user.id, now=tx.now):
        ended.append("trusted_devices")
        audit_event = AuditEvent(
            action=types.DEVICE_TRUST_REVOKED, user_id=user.id, details={"all": True, "reason": REASON}
        )
        tx.record(audit_event)
    tx.challenges.drop_trusted_devices(user.id)
    if close_changes(tx, user.id, reason=REASON):
        ended.append("email_changes")
    if not user.owns_factor:
        tx.two_factor.drop_enrollment(user.id)
        return ended
    if keeps_factors(services, tx, user):
        tx.users.set_factors_kept(user.id, tx.now, now=tx.now)
        return [*ended, "factors_stay"]
    cancel_reset(tx, user.id, outcome="factor_disabled")
    removed = remove_all_factors(tx, user.id, reason=REASON)
    details = {"methods": removed.methods, "reason": REASON}
    disabled = AuditEvent(action=types.TWO_FACTOR_DISABLED, user_id=user.id, details=details)
    tx.record(disabled)
    return [*ended, "second_factors"]


def keeps_factors(services: Services, tx: Transaction, user: User) -> bool:
    """
    Whether a mailbox alone must not remove the second factors of an account that was never confirmed.

    This applies if more than the account depends on them: an actor type requires a factor, an operator created or
    imported the account, or it belongs to an organization that someone else created. Then an administrator has to reset
    them; that reset always has a waiting period and can be canceled (``TwoFactorPolicy.wait_for``).
    """
    if services.actors.demand_two_factor(user.actor_types) or user.made_by is not None:
        return True
    return any(
        organization.created_by != user.id for organization, _ in tx.organizations.list_memberships(user.id)
    )
