"""``auth.organizations``: create organizations and manage their members."""

from __future__ import annotations

from collections.abc import Mapping

from czo_auth.api.host_api import HostApi, context_of
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.organizations.organization import Member, Organization
from czo_auth.core.paging import Page, PageQuery
from czo_auth.core.principal import Principal


class Organizations(HostApi):
    """Organizations of the deployment. Roles are ``viewer``, ``member``, ``admin`` and ``owner``."""

    async def create(
        self,
        *,
        name: str,
        owner_id: str,
        slug: str | None = None,
        metadata: Mapping[str, object] | None = None,
        by: Principal | None = None,
    ) -> Organization:
        """
        Create an organization.

        Args:
            owner_id: The user who owns it.
            slug: Made from the name when None.
            by: The user on whose behalf the host acts, for the audit log.

        Raises:
            NotFound: There is no such user.
            ValidationFailed, SlugTaken, OrganizationLimitReached: The input is not valid, or conflicts with existing
                data.
        """
        runtime = await self._started()
        return await runtime.operate_organizations.create(
            owner_id, name=name, slug=slug, metadata=metadata, context=context_of(by, now=runtime.now())
        )

    async def get(self, organization_id: str) -> Organization:
        """
        Return an organization.

        Raises:
            UnknownOrganization: It does not exist.
        """
        runtime = await self._started()
        return await runtime.operate_organizations.get(organization_id)

    async def list_members(
        self, organization_id: str, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[Member]:
        """
        List the members, oldest first.

        Raises:
            UnknownOrganization: There is no such organization.
            ValidationFailed: The cursor is not valid.
        """
        runtime = await self._started()
        return await runtime.operate_organizations.list_members(
            organization_id, PageQuery(limit=limit, cursor=cursor)
        )

    async def find_member(self, organization_id: str, user_id: str) -> Member | None:
        """Find a member with their role; None for somebody who is none."""
        runtime = await self._started()
        return await runtime.operate_organizations.find_member(organization_id, user_id)

    async def add_member(
        self, organization_id: str, user_id: str, *, role: str = "member", by: Principal | None = None
    ) -> Member:
        """
        Make a user a member, without an invitation.

        Raises:
            UnknownRole, UnknownOrganization, NotFound: There is no such role, organization or user.
            AlreadyMember, MemberLimitReached: The current state does not allow it.
        """
        runtime = await self._started()
        return await runtime.operate_organizations.add_member(
            organization_id, user_id, role=role, context=context_of(by, now=runtime.now())
        )

    async def change_role(
        self, organization_id: str, user_id: str, *, role: str, by: Principal | None = None
    ) -> Member:
        """
        Give a member another role.

        Raises:
            UnknownRole, UnknownOrganization, UnknownMember: There is no such role, organization or member.
            LastOwner: Nobody would own the organization.
        """
        runtime = await self._started()
        return await runtime.operate_organizations.change_role(
            organization_id, user_id, role=role, context=context_of(by, now=runtime.now())
        )

    async def remove_member(self, organization_id: str, user_id: str, *, by: Principal | None = None) -> None:
        """
        Remove a member; their API keys for the organization end.

        Raises:
            UnknownOrganization, UnknownMember: There is no such organization or member.
            LastOwner: Nobody would own the organization.
        """
        runtime = await self._started()
        await runtime.operate_organizations.remove_member(
            organization_id, user_id, context=context_of(by, now=runtime.now())
        )
