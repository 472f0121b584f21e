"""Invitations as members of an organization handle them: sent, listed and withdrawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from czo_auth.core.budgets import Budget, consume_budget
from czo_auth.core.context import Context
from czo_auth.core.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvitationLimitReached,
    RoleAboveOwn,
    UnknownInvitation,
    UnknownOrganization,
    UnknownRole,
)
from czo_auth.core.events.types import INVITATION_CANCELED, INVITATION_SENT
from czo_auth.core.flows.organizations.inviter import find_inviter
from czo_auth.core.flows.organizations.membership import (
    Membership,
    lock_organization,
    record,
    require_session,
    see_invitations,
    see_organization,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import (
    MAX_INVITATIONS_A_DAY,
    MAX_INVITATIONS_UNCONFIRMED,
    MAX_PENDING_INVITATIONS,
)
from czo_auth.core.mail_drafts import compose_invitation
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Invitation
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email, deliverable_email
from czo_auth.crypto import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvitation:
    """
    The address that a member invites, and the role.

    Attributes:
        resends: Whether this replaces a pending invitation of the address, instead of being refused.
    """

    email: str
    role: str
    resends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SentInvitation:
    """An invitation with its token, which is shown only here and in the mail."""

    invitation: Invitation
    token: str = field(repr=False)


class Invitations:
    """
    Sends, lists and withdraws invitations.

    An invitation lives as long as its inviter could send it again. If the inviter is banned, leaves or is demoted, it
    dies. Sending one locks the organization's row.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def check_inviter(self, organization_id: str, role: str, *, context: Context) -> None:
        """
        Refuse unless the caller may invite someone as *role* now; creates nothing.

        Raises:
            UnknownOrganization, Forbidden, RoleAboveOwn: See `invite`.
        """

        principal = context.caller

        def check_rights(tx: Transaction) -> None:
            _check_inviter(see_organization(tx, principal, organization_id), role)

        await self._services.transactions.read(check_rights, context)

    async def invite(self, organization_id: str, new: NewInvitation, *, context: Context) -> SentInvitation:
        """
        Invite an address and mail it the token.

        Raises:
            ValidationFailed, UnknownRole: The input is not valid.
            UnknownOrganization: It does not exist, or the caller is not a member.
            Forbidden, RoleAboveOwn: The caller's role may not invite, or not as that role.
            AlreadyMember, AlreadyInvited, InvitationLimitReached: The current state does not allow it.
            RateLimited: The address got too much mail, or the inviter or the organization sent too many invitations
                today.
        """
        principal = context.caller
        require_session(principal)
        if not roles.is_role(new.role):
            raise UnknownRole(details=(("role", UnknownRole.message),))
        email = canonical_email(new.email)
        token = tokens.new_token(tokens.INVITATION)
        lifetime = self._services.policies.organizations.invitation_lifetime

        def store_invitation(tx: Transaction) -> tuple[Membership, Invitation]:
            membership = lock_organization(tx, principal, organization_id)
            _check_inviter(membership, new.role)
            self._check_pending(tx, membership, email, new)
            _count_invitation(tx, principal.require_user(), organization_id)
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
            record(tx, INVITATION_SENT, membership.member, details=details)
            return membership, invitation

        # Only callers who may invite use up the mail limit of the address.
        await self._services.transactions.read(
            lambda tx: _check_inviter(see_organization(tx, principal, organization_id), new.role),
            context,
        )
        await self._services.limits.hit("mail", ip=context.ip, account=email)
        membership, invitation = await self._services.transactions.run(store_invitation, context)
        self._services.background.post(
            compose_invitation(
                deliverable_email(new.email),
                language=context.language,
                token=token,
                links=self._services.links,
                organization=membership.organization.name,
                inviter=membership.member.name,
                valid_for=lifetime,
            )
        )
        return SentInvitation(invitation=invitation, token=token)

    def _check_pending(self, tx: Transaction, membership: Membership, email: str, new: NewInvitation) -> None:
        """Refuse a redundant invitation, and cancel the one that this one replaces."""
        organization_id = membership.organization.id
        invited = tx.users.find_by_email(email)
        if invited is not None and tx.organizations.find_member(organization_id, invited.id) is not None:
            raise AlreadyMember
        pending = tx.organizations.find_pending_invitation(organization_id, email, now=tx.now)
        if pending is not None:
            if find_inviter(tx, pending) is not None:
                if not new.resends:
                    raise AlreadyInvited
                if membership.ranks_below(pending.role):
                    raise RoleAboveOwn
            _cancel(tx, membership, pending)
        if tx.organizations.count_pending_invitations(organization_id, now=tx.now) >= MAX_PENDING_INVITATIONS:
            raise InvitationLimitReached

    async def list(
        self, organization_id: str, page: PageQuery = FIRST_PAGE, *, context: Context
    ) -> Page[Invitation]:
        """
        List the invitations of an organization, including answered ones, newest first.

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
            organization_id: The organization that the request names, if any.

        Raises:
            UnknownOrganization: The named organization does not exist, or the caller is not a member.
            UnknownInvitation: It does not exist or is not pending, or the caller may not see it.
            Forbidden: The caller's role may not.
        """
        principal = context.caller
        require_session(principal)

        def cancel_invitation(tx: Transaction) -> Invitation:
            found = tx.organizations.find_invitation(invitation_id)
            membership = self._lock_for_cancel(tx, principal, organization_id, found)
            membership.require("invitation:cancel")
            if (
                found is None
                or found.organization_id != membership.organization.id
                or membership.ranks_below(found.role)
            ):
                raise UnknownInvitation
            if not _cancel(tx, membership, found):
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


def _check_inviter(seen: Membership, role: str) -> None:
    seen.require("invitation:create")
    if seen.ranks_below(role):
        raise RoleAboveOwn


def _count_invitation(tx: Transaction, inviter_id: str, organization_id: str) -> None:
    """
    Count an invitation, because each is a mail to a stranger with text that the inviter chose.

    Raises:
        RateLimited: The inviter or the organization reached today's limit.
    """
    inviter = tx.users.find(inviter_id)
    confirmed = inviter is not None and inviter.email_verified
    limit = MAX_INVITATIONS_A_DAY if confirmed else MAX_INVITATIONS_UNCONFIRMED
    consume_budget(tx, Budget(name=f"invitations/{inviter_id}", limit=limit))
    of_all = Budget(name=f"invitations/of/{organization_id}", limit=2 * MAX_INVITATIONS_A_DAY)
    consume_budget(tx, of_all)


def _cancel(tx: Transaction, membership: Membership, invitation: Invitation) -> bool:
    if not tx.organizations.close_invitation(invitation.id, status="canceled", now=tx.now):
        return False
    details = {"invitationId": invitation.id, "role": invitation.role}
    record(tx, INVITATION_CANCELED, membership.member, details=details)
    return True
