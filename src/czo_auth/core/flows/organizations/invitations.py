"""Invitations to organizations: sent, listed, withdrawn by members; accepted or rejected by whom they were sent to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from czo_auth.core.budgets import Budget, spend
from czo_auth.core.context import Context
from czo_auth.core.errors import (
    AlreadyInvited,
    AlreadyMember,
    EmailNotVerified,
    InvalidToken,
    InvitationLimitReached,
    InvitationNotFound,
    MemberLimitReached,
    NotTheRecipient,
    RoleAboveOwn,
    UnknownInvitation,
    UnknownOrganization,
    UnknownRole,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import INVITATION_CANCELED, INVITATION_REJECTED, INVITATION_SENT, AuditEvent
from czo_auth.core.flows.organizations.membership import (
    Membership,
    lock_organization,
    record,
    require_session,
    see_invitations,
    see_organization,
    session_of,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import (
    DEFAULT_PAGE,
    MAX_INVITATIONS_A_DAY,
    MAX_INVITATIONS_UNCONFIRMED,
    MAX_MEMBERS,
    MAX_PENDING_INVITATIONS,
)
from czo_auth.core.mail_drafts import compose_invitation
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Invitation, Member, Organization
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email, deliverable_email
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

FindInvitation = Callable[[Transaction], Invitation | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvitation:
    """
    Whom a member invites, and as what.

    Attributes:
        resends: Whether a pending invitation of the address gives way to this one, instead of being in its way.
    """

    email: str
    role: str
    resends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SentInvitation:
    """An invitation with its token, shown this once beside the mail."""

    invitation: Invitation
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInvitation:
    """An invitation as the invited person sees it."""

    invitation: Invitation
    organization: Organization
    inviter: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedInvitation:
    """What came of an invitation."""

    invitation: Invitation
    membership: Membership


class Invitations:
    """
    Lets members in.

    An invitation lives as long as its inviter could send it again: one who was banned, left or was demoted takes it
    along. Sending or answering one locks the organization's row, so that it is answered once, by its rules of
    that moment.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    # --- for members -------------------------------------------------------------------------------------------------
    async def check_inviter(self, organization_id: str, role: str, *, context: Context) -> None:
        """
        Refuse unless the caller may invite somebody as *role* now; makes nothing.

        Raises:
            UnknownOrganization, Forbidden, RoleAboveOwn: As `invite`.
        """

        principal = context.caller

        def check_rights(tx: Transaction) -> None:
            _check_inviter(see_organization(tx, principal, organization_id), role)

        await self._services.transactions.read(check_rights, context)

    async def invite(self, organization_id: str, new: NewInvitation, *, context: Context) -> SentInvitation:
        """
        Invite an address and mail it the token.

        Raises:
            ValidationFailed, UnknownRole: By the input.
            UnknownOrganization: There is none, or the caller is not in it.
            Forbidden, RoleAboveOwn: The caller's role may not invite, or not as that.
            AlreadyMember, AlreadyInvited, InvitationLimitReached: By what there is.
            RateLimited: The address was sent enough mail, or the inviter or the organization invited enough today.
        """
        principal = context.caller
        require_session(principal)
        if not roles.is_role(new.role):
            raise UnknownRole(details=(("role", UnknownRole.message),))
        email = canonical_email(new.email)
        token = tokens.new_token(tokens.INVITATION)
        lifetime = self._services.policies.organizations.invitation_lifetime

        def store_invitation(tx: Transaction) -> tuple[Membership, Invitation]:
            held = lock_organization(tx, principal, organization_id)
            _check_inviter(held, new.role)
            self._make_way(tx, held, email, new)
            _spend_invitation(tx, principal.require_user(), organization_id)
            invitation = Invitation(
                id=new_id(tx.now),
                organization_id=organization_id,
                email=email,
                role=new.role,
                inviter_id=principal.require_user(),
                status="pending",
                expires_at=tx.now + lifetime,
                created_at=tx.now,
            )
            tx.organizations.add_invitation(invitation, digest=tokens.digest(token))
            details = {"invitationId": invitation.id, "role": invitation.role}
            record(tx, INVITATION_SENT, held.member, details=details)
            return held, invitation

        # Only who may invite counts against what the address may be sent.
        await self._services.transactions.read(
            lambda tx: _check_inviter(see_organization(tx, principal, organization_id), new.role),
            context,
        )
        await self._services.limits.hit("mail", ip=context.ip, account=email)
        held, invitation = await self._services.transactions.run(store_invitation, context)
        self._services.background.post(
            compose_invitation(
                deliverable_email(new.email),
                language=context.language,
                token=token,
                links=self._services.links,
                organization=held.organization.name,
                inviter=held.member.name,
                valid_for=lifetime,
            )
        )
        return SentInvitation(invitation=invitation, token=token)

    def _make_way(self, tx: Transaction, held: Membership, email: str, new: NewInvitation) -> None:
        """Refuse a needless invitation, and end the one that this one replaces."""
        organization_id = held.organization.id
        invited = tx.users.find_by_email(email)
        if invited is not None and tx.organizations.find_member(organization_id, invited.id) is not None:
            raise AlreadyMember
        pending = tx.organizations.find_pending_invitation(organization_id, email, now=tx.now)
        if pending is not None:
            if _find_inviter(tx, pending) is not None:
                if not new.resends:
                    raise AlreadyInvited
                if held.stands_below(pending.role):
                    raise RoleAboveOwn
            _cancel(tx, held, pending)
        if tx.organizations.count_pending_invitations(organization_id, now=tx.now) >= MAX_PENDING_INVITATIONS:
            raise InvitationLimitReached

    async def list(
        self, organization_id: str, page: PageQuery = FIRST_PAGE, *, context: Context
    ) -> Page[Invitation]:
        """
        List the invitations of an organization, newest first, answered ones too.

        Raises:
            SessionRequired: An API key asks.
            UnknownOrganization: As ``ManageOrganizations.get``.
            Forbidden: The caller's role may not.
        """
        principal = context.caller
        require_session(principal)

        def read_invitations(tx: Transaction) -> Page[Invitation]:
            seen = see_organization(tx, principal, organization_id)
            seen.require("invitation:read")
            return see_invitations(tx, principal, seen, page)

        return await self._services.transactions.read(read_invitations, context)

    async def cancel(
        self, invitation_id: str, *, context: Context, organization_id: str | None = None
    ) -> Invitation:
        """
        Withdraw a pending invitation.

        Args:
            organization_id: The organization that the request names beside it.

        Raises:
            UnknownOrganization: The one that is named is unknown, or the caller is not in it.
            UnknownInvitation: It is not there, not pending, or not the caller's to see.
            Forbidden: The caller's role may not.
        """
        principal = context.caller
        require_session(principal)

        def cancel_invitation(tx: Transaction) -> Invitation:
            found = tx.organizations.find_invitation(invitation_id)
            held = self._lock_for_cancel(tx, principal, organization_id, found)
            held.require("invitation:cancel")
            if (
                found is None
                or found.organization_id != held.organization.id
                or held.stands_below(found.role)
            ):
                raise UnknownInvitation
            if not _cancel(tx, held, found):
                raise UnknownInvitation
            return replace(found, status="canceled")

        return await self._services.transactions.run(cancel_invitation, context)

    def _lock_for_cancel(
        self, tx: Transaction, principal: Principal, organization_id: str | None, found: Invitation | None
    ) -> Membership:
        if organization_id is not None:
            return lock_organization(tx, principal, organization_id)
        try:
            return lock_organization(tx, principal, found.organization_id if found is not None else "")
        except UnknownOrganization:
            raise UnknownInvitation from None

    # --- for the invited ---------------------------------------------------------------------------------------------
    async def get(self, invitation_id: str, *, context: Context) -> ReceivedInvitation:
        """
        Read an invitation that was sent to the caller's confirmed address.

        Raises:
            InvitationNotFound: Unknown or dead.
            NotTheRecipient: It was sent to somebody else.
            EmailNotVerified: The address was not confirmed: the id proves no mailbox.
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

        Listing needs no token, so the address has to be the caller's own beyond doubt.

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
            NotTheRecipient: It was sent to somebody else.
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
            NotTheRecipient: It was sent to somebody else.
            AlreadyMember, MemberLimitReached: By what there is.
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

        An id is no secret: lists, audit records and events hold it. So the address has to be the caller's own beyond
        doubt, which only the token of the mail proves by itself.

        Raises:
            InvitationNotFound, NotTheRecipient, AlreadyMember, MemberLimitReached: As ``accept_by_token``.
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
        Reject an invitation by its id. Declining gives nothing, so the address need not be confirmed.

        Raises:
            InvitationNotFound: Unknown or dead.
            NotTheRecipient: It was sent to somebody else.
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


# --- steps -----------------------------------------------------------------------------------------------------------
def _check_inviter(seen: Membership, role: str) -> None:
    seen.require("invitation:create")
    if seen.stands_below(role):
        raise RoleAboveOwn


def _spend_invitation(tx: Transaction, inviter_id: str, organization_id: str) -> None:
    """
    Count an invitation: each is a mail to a stranger, with text that the inviter chose.

    Raises:
        RateLimited: The inviter, or the organization, sent as many today as are allowed.
    """
    inviter = tx.users.find(inviter_id)
    confirmed = inviter is not None and inviter.email_verified
    limit = MAX_INVITATIONS_A_DAY if confirmed else MAX_INVITATIONS_UNCONFIRMED
    spend(tx, Budget(name=f"invitations/{inviter_id}", limit=limit))
    of_all = Budget(name=f"invitations/of/{organization_id}", limit=2 * MAX_INVITATIONS_A_DAY)
    spend(tx, of_all)


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
    """Find a live invitation and hold its organization; what it was before that was held does not count."""
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
    """Find what belongs to an invitation that can still be answered; None when it is dead."""
    if not _is_pending(invitation, now=tx.now):
        return None
    organization = tx.organizations.find(invitation.organization_id)
    inviter = _find_inviter(tx, invitation)
    if organization is None or inviter is None:
        return None
    return ReceivedInvitation(invitation=invitation, organization=organization, inviter=inviter)


def _is_pending(invitation: Invitation, *, now: datetime) -> bool:
    return invitation.status == "pending" and invitation.expires_at > now


def _find_inviter(tx: Transaction, invitation: Invitation) -> Member | None:
    """Find the inviter as a member who could send this invitation now; None when it died with the right to."""
    member = tx.organizations.find_member(invitation.organization_id, invitation.inviter_id)
    if member is None or not roles.may(member.role, "invitation:create"):
        return None
    if roles.outranks(member.role, invitation.role):
        return None
    inviter = tx.users.find(invitation.inviter_id)
    return member if inviter is not None and inviter.banned_at is None else None


def _check_recipient(user: User | None, invitation: Invitation) -> User:
    if user is None or user.banned_at is not None:
        raise InvalidToken
    if user.email != invitation.email:
        raise NotTheRecipient
    return user


def _check_verified(user: User) -> None:
    if not user.email_verified:
        raise EmailNotVerified


def _cancel(tx: Transaction, held: Membership, invitation: Invitation) -> bool:
    if not tx.organizations.close_invitation(invitation.id, status="canceled", now=tx.now):
        return False
    details = {"invitationId": invitation.id, "role": invitation.role}
    record(tx, INVITATION_CANCELED, held.member, details=details)
    return True
