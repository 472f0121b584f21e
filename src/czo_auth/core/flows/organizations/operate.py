"""Organizations for the host's code and operators, regardless of membership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    AlreadyMember,
    MemberLimitReached,
    NotFound,
    UnknownOrganization,
    UnknownRole,
)
from czo_auth.core.events import types
from czo_auth.core.flows.organizations.create import create_organization
from czo_auth.core.flows.organizations.membership import (
    check_not_last_owner,
    find_member,
    known_member,
    record,
    remove_member,
)
from czo_auth.core.flows.organizations.owners import compose_notices_of_created_keys
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import is_id, new_id
from czo_auth.core.limits import MAX_MEMBERS
from czo_auth.core.mail import MailDraft
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Member, Organization
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_of
from czo_auth.core.transaction import Transaction


class OperateOrganizations:
    """Acts on any organization. The caller has already been authorized; that an owner stays is checked here."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(
        self,
        owner_id: str,
        *,
        name: str,
        slug: str | None,
        metadata: Mapping[str, object] | None,
        context: Context,
    ) -> Organization:
        """
        Create an organization with *owner_id* as its owner.

        Raises:
            NotFound: There is no such user.
            ValidationFailed, SlugTaken, OrganizationLimitReached: The input is not valid, or conflicts with existing
                data.
        """

        def store_organization(tx: Transaction) -> Organization:
            if not is_id(owner_id) or tx.users.lock(owner_id) is None:
                raise NotFound
            return create_organization(
                tx,
                owner_id,
                name=name,
                slug=slug,
                metadata=metadata,
                policy=self._services.policies.organizations,
            )

        return await self._services.transactions.run(store_organization, context)

    async def get(self, organization_id: str) -> Organization:
        """
        Read an organization.

        Raises:
            UnknownOrganization: No such id.
        """
        found = await self._services.transactions.read(lambda tx: tx.organizations.find(organization_id))
        if found is None:
            raise UnknownOrganization
        return found

    async def list_members(self, organization_id: str, page: PageQuery = FIRST_PAGE) -> Page[Member]:
        """
        List the members, oldest first.

        Raises:
            UnknownOrganization: No such id.
            ValidationFailed: The cursor is not valid.
        """
        await self.get(organization_id)
        after = page.position

        def read_members(tx: Transaction) -> Page[Member]:
            found = tx.organizations.list_members(organization_id, after=after, limit=page.limit + 1)
            total = tx.organizations.count_members(organization_id)
            return page_of(found, page, total=total, position=lambda each: (each.created_at, each.id))

        return await self._services.transactions.read(read_members)

    async def find_member(self, organization_id: str, user_id: str) -> Member | None:
        """Find a member; None if the user is not a member."""
        return await self._services.transactions.read(
            lambda tx: (
                find_member(tx, organization_id, user_id, named_by="user_id")
                if is_id(organization_id)
                else None
            )
        )

    async def add_member(self, organization_id: str, user_id: str, *, role: str, context: Context) -> Member:
        """
        Make a user a member, without an invitation.

        Raises:
            UnknownRole, UnknownOrganization, NotFound: There is no such role, organization or user.
            AlreadyMember, MemberLimitReached: The current state does not allow it.
        """
        _check_role(role)

        def store_member(tx: Transaction) -> Member:
            _lock(tx, organization_id)
            if not is_id(user_id) or tx.users.lock(user_id) is None:
                raise NotFound
            if tx.organizations.count_members(organization_id) >= MAX_MEMBERS:
                raise MemberLimitReached
            if not tx.organizations.add_member(
                new_id(tx.now), organization_id=organization_id, user_id=user_id, role=role, now=tx.now
            ):
                raise AlreadyMember
            tx.factor_rules.apply(organization_id, user_id=user_id)
            member = known_member(tx.organizations.find_member(organization_id, user_id))
            record(tx, types.MEMBER_ADDED, member, details={"role": role})
            return member

        return await self._services.transactions.run(store_member, context)

    async def change_role(self, organization_id: str, user_id: str, *, role: str, context: Context) -> Member:
        """
        Give a member another role.

        Raises:
            UnknownRole, UnknownOrganization, UnknownMember: There is no such role, organization or member.
            LastOwner: The organization would have no owner.
        """
        _check_role(role)

        def set_role(tx: Transaction) -> tuple[Member, Sequence[MailDraft]]:
            organization = _lock(tx, organization_id)
            member = known_member(find_member(tx, organization_id, user_id, named_by="user_id"))
            if member.role == role:
                return member, ()
            check_not_last_owner(tx, member)
            tx.organizations.set_role(organization_id, user_id, role=role)
            details = {"role": role, "previousRole": member.role}
            record(tx, types.ROLE_CHANGED, member, details=details)
            mails: Sequence[MailDraft] = ()
            if roles.outranks(role, member.role):
                mails = compose_notices_of_created_keys(
                    tx, self._services, organization, user_id, name=member.name
                )
            return known_member(tx.organizations.find_member(organization_id, user_id)), mails

        changed, mails = await self._services.transactions.run(set_role, context)
        self._post(mails)
        return changed

    async def remove_member(self, organization_id: str, user_id: str, *, context: Context) -> None:
        """
        Remove a member; their API keys for the organization end.

        Raises:
            UnknownOrganization, UnknownMember: There is no such organization or member.
            LastOwner: The organization would have no owner.
        """

        def end_membership(tx: Transaction) -> Sequence[MailDraft]:
            organization = _lock(tx, organization_id)
            member = known_member(find_member(tx, organization_id, user_id, named_by="user_id"))
            check_not_last_owner(tx, member)
            remove_member(tx, member, reason="removed")
            return compose_notices_of_created_keys(
                tx, self._services, organization, user_id, name=member.name
            )

        self._post(await self._services.transactions.run(end_membership, context))

    def _post(self, mails: Sequence[MailDraft]) -> None:
        for mail in mails:
            self._services.background.post(mail)


def _lock(tx: Transaction, organization_id: str) -> Organization:
    found = tx.organizations.lock(organization_id)
    if found is None:
        raise UnknownOrganization
    return found


def _check_role(role: str) -> None:
    if not roles.is_role(role):
        raise UnknownRole(details=(("role", UnknownRole.message),))
