"""Organizations as better-auth's client expects them."""

from __future__ import annotations

from typing import Any, Self

from czo_auth.core.flows.organizations import manage as flow
from czo_auth.core.organizations import organization as core
from czo_auth.rest.records.base import Count, Id, Object, Record, Timestamp
from czo_auth.rest.records.invitations import Invitation
from czo_auth.rest.records.organizations import Member, Role


class ClientOrganization(Record):
    """An organization."""

    id: Id
    name: str
    slug: str | None
    logo: str | None
    metadata: Object | None
    created_at: Timestamp

    @classmethod
    def of(cls, organization: core.Organization, **more: Any) -> Self:
        """Make the record of *organization*; *more* are the additional fields of a subclass."""
        return cls(
            id=organization.id,
            name=organization.name,
            slug=organization.slug,
            logo=organization.logo,
            metadata=organization.metadata,
            created_at=organization.created_at,
            **more,
        )


class CreatedOrganization(ClientOrganization):
    """A new organization and its first member."""

    members: list[Member]


class FullOrganization(ClientOrganization):
    """An organization with its first members and newest invitations."""

    members: list[Member]
    invitations: list[Invitation]

    @classmethod
    def of_full(cls, found: flow.FullOrganization) -> Self:
        """Make the record of *found*."""
        return cls.of(
            found.seen.organization,
            members=[Member.of(each) for each in found.members],
            invitations=[Invitation.of(each) for each in found.invitations],
        )


class ClientMemberList(Record):
    """Some of the members of an organization, and how many match."""

    members: list[Member]
    total: Count


class MemberRole(Record):
    """The role of a member."""

    role: Role


class RemovedMember(Record):
    """The member who was removed."""

    member: Member


class PermissionVerdict(Record):
    """Whether the caller's role has all of the permissions."""

    error: None
    success: bool
