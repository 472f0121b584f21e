"""Whether the inviter of an invitation could still send it."""

from __future__ import annotations

from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Invitation, Member
from czo_auth.core.transaction import Transaction


def find_inviter(tx: Transaction, invitation: Invitation) -> Member | None:
    """Find the inviter as a member who could send this invitation now; None if they no longer could."""
    member = tx.organizations.find_member(invitation.organization_id, invitation.inviter_id)
    if member is None or not roles.may(member.role, "invitation:create"):
        return None
    if roles.outranks(member.role, invitation.role):
        return None
    inviter = tx.users.find(invitation.inviter_id)
    return member if inviter is not None and inviter.banned_at is None else None
