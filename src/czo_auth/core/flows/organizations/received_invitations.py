"""Invitations as the invited person handles them: read, accepted and rejected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    AlreadyMember,
    EmailNotVerified,
    InvalidToken,
    InvitationNotFound,
    MemberLimitReached,
    NotTheRecipient,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import INVITATION_REJECTED, AuditEvent
from czo_auth.core.flows.organizations.create import check_memberships
from czo_auth.core.flows.organizations.inviter import find_inviter
from czo_auth.core.flows.organizations.membership import (
    Membership,
    record,
    require_session,
    see_organization,
    session_of,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import (
    DEFAULT_PAGE,
    MAX_MEMBERS,
)
from czo_auth.core.organizations.organization import Invitation, Member, Organization
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

FindInvitation = Callable[[Transaction], Invitation | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInvitation:
    """An invitation as the invited person sees it."""

    invitation: Invitation
    organization: Organization
    inviter: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedInvitation:
    """The result of accepting an invitation."""

    invitation: Invitation
    membership: Membership


class ReceivedInvitations:
    """
    Reads and answers invitations for the person who was invited.

    Answering one locks the organization's row, so that it is answered once, by the organization's rules of that moment.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, invitation_id: str, *, context: Context) -> ReceivedInvitation:
        """
        Read an invitation that was sent to the caller's confirmed address.

        Raises:
            InvitationNotFound: Unknown or dead.
            NotTheRecipient: It was sent to someone else.
            EmailNotVerified: The address was not confirmed; an id does not prove access to the mailbox.
        """
        principal = context.caller
        require_session(principal)

        def read_received(tx: Transaction) -> ReceivedInvitation:
            received = _live(tx, _by_id(invitation_id)(tx))
            _check_verified(_check_recipient(tx.users.find(principal.require_user()), received.invitation))
            return received

        return await self._services.transactions.read(read_received, context)

    async def list_for(self, *, context: Context) -> Sequence[ReceivedInvitation]:
        """
        List the live invitations to the caller's address, newest first, at most `DEFAULT_PAGE` of them.

        Listing needs no token, so the caller must have confirmed the address.

        Raises:
            EmailNotVerified: The address was not confirmed.
        """
        principal = context.caller
        require_session(principal)

        def read_received(tx: Transaction) -> Sequence[ReceivedInvitation]:
            user = tx.users.find(principal.require_user())
            if user is None:
                raise InvalidToken
            _check_verified(user)
            found = tx.organizations.list_invitations_for(user.email, limit=DEFAULT_PAGE, now=context.now)
            received = (_find_live(tx, invitation) for invitation in found)
            return [each for each in received if each is not None]

        return await self._services.transactions.read(read_received, context)

    async def read_by_token(self, token: str, *, context: Context) -> ReceivedInvitation:
        """
        Read the invitation that *token* was mailed for, without accepting it.

        Raises:
            InvitationNotFound: Used, expired, withdrawn, unknown, or its inviter may not invite any more.
            NotTheRecipient: It was sent to someone else.
        """
        principal = context.caller
        require_session(principal)
        if not tokens.is_well_formed(token, tokens.INVITATION):
            raise InvitationNotFound
        digest = tokens.digest(token)

        def read_received(tx: Transaction) -> ReceivedInvitation:
            received = _live(tx, tx.organizations.find_invitation_by_digest(digest))
            _check_recipient(tx.users.find(principal.require_user()), received.invitation)
            return received

        return await self._services.transactions.read(read_received, context)

    async def accept_by_token(self, token: str, *, context: Context) -> AcceptedInvitation:
        """
        Accept the invitation that *token* was mailed for.

        Raises:
            InvitationNotFound: Used, expired, withdrawn, unknown, or its inviter may not invite any more.
            NotTheRecipient: It was sent to someone else.
            AlreadyMember, MemberLimitReached, OrganizationLimitReached: The current state does not allow it.
        """
        principal = context.caller
        require_session(principal)
        if not tokens.is_well_formed(token, tokens.INVITATION):
            raise InvitationNotFound
        digest = tokens.digest(token)
        return await self._services.transactions.run(
            lambda tx: _accept(tx, principal, lambda tx: tx.organizations.find_invitation_by_digest(digest)),
            context,
        )

    async def accept_by_id(self, invitation_id: str, *, context: Context) -> AcceptedInvitation:
        """
        Accept an invitation by its id, as better-auth's client does; the organization becomes the active one.

        An id is not a secret: lists, audit records and events contain it. So the caller must have confirmed the
        address; only the mailed token proves it without that.

        Raises:
            InvitationNotFound, NotTheRecipient, AlreadyMember, MemberLimitReached, OrganizationLimitReached: As
                ``accept_by_token``.
            EmailNotVerified: The address was not confirmed.
        """
        principal = context.caller
        require_session(principal)

        def accept_invitation(tx: Transaction) -> AcceptedInvitation:
            accepted = _accept(tx, principal, _by_id(invitation_id), needs_verified=True)
            tx.sessions.set_organization(session_of(principal), accepted.invitation.organization_id)
            return accepted

        return await self._services.transactions.run(accept_invitation, context)

    async def reject(self, invitation_id: str, *, context: Context) -> Invitation:
        """
        Reject an invitation by its id. Rejecting grants nothing, so the address need not be confirmed.

        Raises:
            InvitationNotFound: Unknown or dead.
            NotTheRecipient: It was sent to someone else.
        """
        principal = context.caller
        require_session(principal)

        def reject_invitation(tx: Transaction) -> Invitation:
            received = _hold(tx, _by_id(invitation_id))
            invitation = received.invitation
            user = _check_recipient(tx.users.lock(principal.require_user()), invitation)
            if not tx.organizations.close_invitation(invitation.id, status="rejected", now=tx.now):
                raise InvitationNotFound
            audit_event = AuditEvent(
                action=INVITATION_REJECTED,
                user_id=user.id,
                organization_id=invitation.organization_id,
                details={"invitationId": invitation.id, "role": invitation.role},
            )
            tx.record(audit_event)
            return replace(invitation, status="rejected")

        return await self._services.transactions.run(reject_invitation, context)


def _accept(
    tx: Transaction, principal: Principal, find: FindInvitation, *, needs_verified: bool = False
) -> AcceptedInvitation:
    received = _hold(tx, find)
    invitation = received.invitation
    user = _check_recipient(tx.users.lock(principal.require_user()), invitation)
    if needs_verified:
        _check_verified(user)
    if not tx.organizations.close_invitation(invitation.id, status="accepted", now=tx.now):
        raise InvitationNotFound
    if tx.organizations.count_members(invitation.organization_id) >= MAX_MEMBERS:
        raise MemberLimitReached
    check_memberships(tx, user.id)
    added = tx.organizations.add_member(
        new_id(tx.now),
        organization_id=invitation.organization_id,
        user_id=user.id,
        role=invitation.role,
        now=tx.now,
    )
    if not added:
        raise AlreadyMember
    tx.factor_rules.apply(invitation.organization_id, user_id=user.id)
    membership = see_organization(tx, principal, invitation.organization_id, admits_due=True)
    details = {"role": invitation.role, "invitationId": invitation.id}
    record(tx, types.MEMBER_ADDED, membership.member, details=details)
    return AcceptedInvitation(invitation=replace(invitation, status="accepted"), membership=membership)


def _by_id(invitation_id: str) -> FindInvitation:
    return lambda tx: tx.organizations.find_invitation(invitation_id)


def _hold(tx: Transaction, find: FindInvitation) -> ReceivedInvitation:
    """Lock the organization of an invitation, and read the invitation again under the lock."""
    found = find(tx)
    if found is not None:
        tx.organizations.lock(found.organization_id)
    return _live(tx, find(tx))


def _live(tx: Transaction, invitation: Invitation | None) -> ReceivedInvitation:
    received = _find_live(tx, invitation) if invitation is not None else None
    if received is None:
        raise InvitationNotFound
    return received


def _find_live(tx: Transaction, invitation: Invitation) -> ReceivedInvitation | None:
    """Find an invitation that can still be answered, with its organization and inviter; None if it no longer can."""
    if not _is_pending(invitation, now=tx.now):
        return None
    organization = tx.organizations.find(invitation.organization_id)
    inviter = find_inviter(tx, invitation)
    if organization is None or inviter is None:
        return None
    return ReceivedInvitation(invitation=invitation, organization=organization, inviter=inviter)


def _is_pending(invitation: Invitation, *, now: datetime) -> bool:
    return invitation.status == "pending" and invitation.expires_at > now


def _check_recipient(user: User | None, invitation: Invitation) -> User:
    if user is None or user.banned_at is not None:
        raise InvalidToken
    if user.email != invitation.email:
        raise NotTheRecipient
    return user


def _check_verified(user: User) -> None:
    if not user.email_verified:
        raise EmailNotVerified
