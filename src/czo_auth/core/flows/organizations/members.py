"""Members of an organization: read, change a role, remove, leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from czo_auth.core.api_keys.key import OwnedApiKey
from czo_auth.core.context import Context
from czo_auth.core.errors import Forbidden, RoleAboveOwn, UnknownRole
from czo_auth.core.events import types
from czo_auth.core.flows.organizations.membership import (
    MemberKey,
    check_no_keys,
    check_not_last_owner,
    find_member,
    keys_of_member,
    known_member,
    lock_organization,
    record,
    remove_member,
    see_organization,
    shown_member,
    view_organization,
)
from czo_auth.core.flows.organizations.owners import compose_notices_of_created_keys
from czo_auth.core.flows.required_factor import check_factor
from czo_auth.core.flows.services import Services
from czo_auth.core.mail import MailDraft
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Member, Organization
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_of
from czo_auth.core.transaction import Transaction


class ManageMembers:
    """
    Operations on members.

    Nobody grants, changes or removes a role above their own, and an organization always has an owner. A step that
    changes members locks the organization's row before the users' rows: this avoids deadlocks, and if two owners remove
    each other, one stays.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list_members(
        self, organization_id: str, page: PageQuery = FIRST_PAGE, *, context: Context
    ) -> Page[Member]:
        """
        List the members, oldest first.

        Raises:
            UnknownOrganization, OrganizationScopeMismatch: As ``get``.
            Forbidden: The caller's role may not.
            ValidationFailed: The cursor is not valid.
        """
        principal, after = context.caller, page.position

        def read_members(tx: Transaction) -> Page[Member]:
            view_organization(tx, principal, organization_id).require("member:read")
            found = tx.organizations.list_members(organization_id, after=after, limit=page.limit + 1)
            members = [shown_member(principal, member) for member in found]
            total = tx.organizations.count_members(organization_id)
            return page_of(members, page, total=total, position=lambda each: (each.created_at, each.id))

        return await self._services.transactions.read(read_members, context)

    async def get_member(self, organization_id: str, user_id: str, *, context: Context) -> Member:
        """
        Read one member; members may always read themselves.

        Raises:
            UnknownOrganization, OrganizationScopeMismatch: As ``get``.
            UnknownMember: No member has this user id.
            Forbidden: The caller's role may not.
        """

        principal = context.caller

        def read_member(tx: Transaction) -> Member:
            seen = see_organization(tx, principal, organization_id)
            if user_id == principal.user_id:
                return seen.member
            seen.require("member:read")
            found = known_member(find_member(tx, organization_id, user_id, named_by="user_id"))
            return shown_member(principal, found)

        return await self._services.transactions.read(read_member, context)

    async def change_role(
        self,
        organization_id: str,
        member: str,
        *,
        role: str,
        context: Context,
        named_by: MemberKey = "user_id",
    ) -> Member:
        """
        Change a member's role. API keys stay, but lose what the new role does not allow (S17).

        Raises:
            UnknownRole: There is no such role.
            UnknownOrganization, UnknownMember: It does not exist, or the caller may not see it.
            Forbidden: The current or new role is above the caller's own, or the caller's role may not change members.
            LastOwner: The organization would have no owner.
        """
        principal = context.caller
        if not roles.is_role(role):
            raise UnknownRole(details=(("role", UnknownRole.message),))

        def set_role(tx: Transaction) -> tuple[Member, Sequence[MailDraft]]:
            membership = lock_organization(tx, principal, organization_id)
            membership.require("member:update")
            found = known_member(find_member(tx, organization_id, member, named_by=named_by))
            if membership.ranks_below(found.role):
                raise Forbidden
            if membership.ranks_below(role):
                raise RoleAboveOwn
            if found.role == role:
                return found, ()
            check_not_last_owner(tx, found)
            tx.organizations.set_role(organization_id, found.user_id, role=role)
            details = {"role": role, "previousRole": found.role}
            record(tx, types.ROLE_CHANGED, found, details=details)
            is_demoted = roles.outranks(role, found.role)
            mails = self._mail_made_keys(tx, membership.organization, found) if is_demoted else ()
            return replace(found, role=role), mails

        changed, mails = await self._services.transactions.run(set_role, context)
        self._post(mails)
        return changed

    async def remove_member(
        self,
        organization_id: str,
        member: str,
        *,
        context: Context,
        named_by: MemberKey = "user_id",
        confirms: bool = True,
    ) -> Member:
        """
        Remove a member and revoke their API keys for the organization; members may always remove themselves.

        Keys of service accounts that they created stay valid, and the owners are notified of them.

        Args:
            confirms: Whether the caller confirmed that this revokes API keys of the member.

        Raises:
            MemberHasApiKeys: There are such keys, and it was not confirmed; ``details`` names them.
            UnknownOrganization, UnknownMember: It does not exist, or the caller may not see it.
            Forbidden: The member's role is above the caller's own, or the caller's role may not remove members.
            LastOwner: The organization would have no owner.
        """
        principal = context.caller

        def end_membership(tx: Transaction) -> tuple[Member, Sequence[MailDraft]]:
            membership = lock_organization(tx, principal, organization_id, admits_due=True)
            found = find_member(tx, organization_id, member, named_by=named_by)
            leaves = found is not None and found.user_id == principal.user_id
            if not leaves:
                check_factor(tx, membership.member)
                membership.require("member:delete")
            found = known_member(found)
            if membership.ranks_below(found.role):
                raise Forbidden
            check_not_last_owner(tx, found)
            if not confirms:
                check_no_keys(tx, found)
            remove_member(tx, found, reason="left" if leaves else "removed")
            return found, self._mail_made_keys(tx, membership.organization, found)

        removed, mails = await self._services.transactions.run(end_membership, context)
        self._post(mails)
        return removed

    def _mail_made_keys(
        self, tx: Transaction, organization: Organization, member: Member
    ) -> Sequence[MailDraft]:
        return compose_notices_of_created_keys(
            tx, self._services, organization, member.user_id, name=member.name
        )

    def _post(self, mails: Sequence[MailDraft]) -> None:
        for mail in mails:
            self._services.background.post(mail)

    async def list_keys_that_would_end(
        self, organization_id: str, user_id: str, *, context: Context
    ) -> tuple[Member, Sequence[OwnedApiKey]]:
        """
        Read a member and the API keys that removing them would revoke.

        Raises:
            UnknownOrganization, UnknownMember: It does not exist, or the caller may not see it.
            Forbidden: The caller may not remove them.
        """
        principal = context.caller

        def read_keys(tx: Transaction) -> tuple[Member, Sequence[OwnedApiKey]]:
            seen = see_organization(tx, principal, organization_id)
            if user_id != principal.user_id:
                seen.require("member:delete")
            member = known_member(find_member(tx, organization_id, user_id, named_by="user_id"))
            if seen.ranks_below(member.role):
                raise Forbidden
            return member, keys_of_member(tx, member)

        return await self._services.transactions.read(read_keys, context)

    async def leave(self, organization_id: str, *, context: Context) -> Member:
        """
        Remove the caller.

        Raises:
            UnknownOrganization: It does not exist, or the caller is not a member.
            LastOwner: The organization would have no owner.
        """
        principal = context.caller
        return await self.remove_member(organization_id, principal.require_user(), context=context)
