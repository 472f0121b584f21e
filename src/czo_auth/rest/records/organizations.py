"""Organizations, their members, and the second factors that they require."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import WithJsonSchema

from czo_auth.core.flows.organizations import two_factor as flow
from czo_auth.core.flows.organizations.membership import Membership, SeenOrganization
from czo_auth.core.organizations import organization as core
from czo_auth.core.organizations import roles
from czo_auth.core.organizations import two_factor as core_factors
from czo_auth.core.paging import Page
from czo_auth.rest.records.base import Count, Id, Listed, Object, Record, Timestamp

Role = Annotated[str, WithJsonSchema({"enum": list(roles.RANK)})]


class Organization(Record):
    """An organization; ``role`` is the caller's, and null for a service account."""

    id: Id
    name: str
    slug: str
    logo: str | None
    metadata: Object | None
    role: Role | None
    api_key_max_days: Count | None
    api_key_unused_days: Count | None
    require_two_factor_from: Timestamp | None
    two_factor_grace_days: Count
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, organization: core.Organization, *, role: str | None, **more: Any) -> Self:
        """Make the record of *organization*; *more* are the additional fields of a subclass."""
        return cls(
            id=organization.id,
            name=organization.name,
            slug=organization.slug,
            logo=organization.logo,
            metadata=organization.metadata,
            role=role,
            api_key_max_days=organization.api_key_max_days,
            api_key_unused_days=organization.api_key_unused_days,
            require_two_factor_from=organization.require_two_factor_from,
            two_factor_grace_days=organization.two_factor_grace_days,
            created_at=organization.created_at,
            updated_at=organization.updated_at,
            **more,
        )


class AdministeredOrganization(Organization):
    """An organization for an administrator, who has no role in it."""

    created_by: Id | None

    @classmethod
    def of_any(cls, organization: core.Organization) -> Self:
        """Make the record of *organization*."""
        return cls.of(organization, role=None, created_by=organization.created_by)


class OrganizationAnswer(Record):
    organization: Organization

    @classmethod
    def of(cls, seen: SeenOrganization) -> Self:
        """Answer with one organization."""
        return cls(organization=Organization.of(seen.organization, role=seen.role))


class OrganizationList(Listed):
    organizations: list[Organization]

    @classmethod
    def of(cls, page: Page[tuple[core.Organization, str | None]]) -> Self:
        """Answer with a page of the caller's organizations."""
        listed = [Organization.of(organization, role=role) for organization, role in page.items]
        return cls(organizations=listed, total=page.total, next_cursor=page.next_cursor)


class AdministeredOrganizationList(Listed):
    organizations: list[AdministeredOrganization]

    @classmethod
    def of(cls, page: Page[core.Organization]) -> Self:
        """Answer with a page of everybody's organizations."""
        listed = [AdministeredOrganization.of_any(each) for each in page.items]
        return cls(organizations=listed, total=page.total, next_cursor=page.next_cursor)


class MemberUser(Record):
    """Where better-auth's client looks for a member's name and address."""

    id: Id
    name: str
    email: str | None
    image: str | None


class Member(Record):
    """A user in an organization; for an API key, the email address is null."""

    id: Id
    organization_id: Id
    user_id: Id
    role: Role
    user: MemberUser
    name: str
    email: str | None
    created_at: Timestamp

    @classmethod
    def of(cls, member: core.Member) -> Self:
        """Make the record of *member*."""
        return cls(
            id=member.id,
            organization_id=member.organization_id,
            user_id=member.user_id,
            role=member.role,
            user=MemberUser(id=member.user_id, name=member.name, email=member.email, image=member.image),
            name=member.name,
            email=member.email,
            created_at=member.created_at,
        )


class MemberAnswer(Record):
    member: Member

    @classmethod
    def of(cls, member: core.Member) -> Self:
        """Answer with one member."""
        return cls(member=Member.of(member))


class MemberList(Listed):
    members: list[Member]

    @classmethod
    def of(cls, page: Page[core.Member]) -> Self:
        """Answer with a page of members."""
        members = [Member.of(each) for each in page.items]
        return cls(members=members, total=page.total, next_cursor=page.next_cursor)


class JoinedOrganization(Record):
    """The result of accepting an invitation."""

    organization: Organization
    member: Member

    @classmethod
    def of(cls, membership: Membership) -> Self:
        """Return the organization that the user joined."""
        return cls(
            organization=Organization.of(membership.organization, role=membership.role),
            member=Member.of(membership.member),
        )


class MemberFactors(Record):
    """A member, their second factors, and whether they would be refused."""

    user_id: Id
    name: str
    email: str
    role: Role
    enabled: bool
    phishing_resistant: bool
    due_at: Timestamp | None
    exempt_until: Timestamp | None
    would_be_refused: bool

    @classmethod
    def of(cls, reported: flow.ReportedMember) -> Self:
        """Make the record of a line of the report."""
        member = reported.member
        return cls(
            user_id=member.user_id,
            name=member.name,
            email=member.email,
            role=member.role,
            enabled=member.enabled,
            phishing_resistant=member.phishing_resistant,
            due_at=reported.due_at,
            exempt_until=member.exempt_until,
            would_be_refused=reported.would_be_refused,
        )


class ReportedKeys(Record):
    """How many live API keys there are, and how many would be refused because their owner would be."""

    total: Count
    would_be_refused: Count


class FactorReport(Record):
    """Which members have a factor, and who would be refused."""

    members: list[MemberFactors]
    api_keys: ReportedKeys
    total: Count

    @classmethod
    def of(cls, report: flow.FactorReport) -> Self:
        """Make the record of *report*."""
        return cls(
            members=[MemberFactors.of(each) for each in report.members],
            api_keys=ReportedKeys(total=report.keys, would_be_refused=report.keys_refused),
            total=report.total,
        )


class TwoFactorExemption(Record):
    """A member who does not need a second factor yet."""

    organization_id: Id
    user_id: Id
    since: Timestamp
    until: Timestamp
    reason: str
    granted_by: Id


class ExemptionAnswer(Record):
    exemption: TwoFactorExemption

    @classmethod
    def of(cls, exemption: core_factors.Exemption) -> Self:
        """Answer with one exemption."""
        shown = TwoFactorExemption(
            organization_id=exemption.organization_id,
            user_id=exemption.user_id,
            since=exemption.since,
            until=exemption.until,
            reason=exemption.reason,
            granted_by=exemption.by,
        )
        return cls(exemption=shown)
