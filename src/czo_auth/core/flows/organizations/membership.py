"""Read and change memberships inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from czo_auth.core.api_keys.key import OwnedApiKey
from czo_auth.core.api_keys.store import KeyFilter
from czo_auth.core.errors import (
    Forbidden,
    LastOwner,
    MemberHasApiKeys,
    OrganizationScopeMismatch,
    SessionRequired,
    UnknownMember,
    UnknownOrganization,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.api_keys.revoke import revoke_keys
from czo_auth.core.flows.required_factor import check_factor
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Invitation, Member, Organization
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_of
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import find_canonical_email

MemberKey = Literal["user_id", "member_id", "email"]
"""How a request identifies a member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenOrganization:
    """
    An organization and what the caller may do in it.

    Attributes:
        role: The caller's; None for a service account.
    """

    organization: Organization
    role: str | None

    def may(self, permission: str) -> bool:
        """Return whether the caller has *permission* here."""
        return roles.may(self.role, permission)

    def require(self, permission: str) -> None:
        """
        Refuse a caller without *permission*.

        Raises:
            Forbidden: The role does not have it.
        """
        if not self.may(permission):
            raise Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(SeenOrganization):
    """An organization that the caller is a member of."""

    role: str
    member: Member

    def ranks_below(self, role: str) -> bool:
        """Return whether *role* is above the caller's own, so that the caller may not change it."""
        return roles.outranks(self.role, role)


def view_organization(tx: Transaction, principal: Principal, organization_id: str) -> SeenOrganization:
    """
    Read the organization of a service account, or one that the caller is a member of; for reading only.

    Raises:
        UnknownOrganization, OrganizationScopeMismatch, OrganizationTwoFactorRequired: As ``see_organization``.
    """
    if principal.service_account_id is None:
        return see_organization(tx, principal, organization_id)
    organization = tx.organizations.find(organization_id) if acts_in(principal, organization_id) else None
    if organization is None:
        raise UnknownOrganization
    return SeenOrganization(organization=organization, role=None)


def see_organization(
    tx: Transaction, principal: Principal, organization_id: str, *, admits_due: bool = False
) -> Membership:
    """
    Read an organization that the caller is a member of.

    Args:
        admits_due: Whether to admit a member who lacks the required factor: so that they can leave.

    Raises:
        UserRequired: The caller is a service account.
        UnknownOrganization: It does not exist, or the caller is not a member; indistinguishable.
        OrganizationScopeMismatch: The API key acts in another one.
        OrganizationTwoFactorRequired: It requires a factor that the caller lacks.
    """
    member = tx.organizations.find_member(organization_id, principal.require_user())
    organization = tx.organizations.find(organization_id) if member is not None else None
    if member is None or organization is None:
        raise UnknownOrganization
    if not acts_in(principal, organization_id):
        raise OrganizationScopeMismatch
    if not admits_due:
        check_factor(tx, member)
    return Membership(organization=organization, role=member.role, member=shown_member(principal, member))


def shown_member(principal: Principal, member: Member) -> Member:
    """Return *member* as *principal* may see it: API keys do not see addresses."""
    return member if principal.kind == "session" else replace(member, email=None)


def lock_organization(
    tx: Transaction, principal: Principal, organization_id: str, *, admits_due: bool = False
) -> Membership:
    """
    Read an organization that the caller is a member of, and lock its row until the transaction ends.

    What is read afterwards about its members and invitations cannot change until then.

    Raises:
        UnknownOrganization, OrganizationScopeMismatch: As ``see_organization``.
    """
    tx.organizations.lock(organization_id)
    return see_organization(tx, principal, organization_id, admits_due=admits_due)


def require_session(principal: Principal) -> None:
    """
    Refuse API keys.

    Raises:
        SessionRequired: The principal is an API key.
    """
    if principal.kind != "session":
        raise SessionRequired


def see_invitations(
    tx: Transaction, principal: Principal, seen: Membership, page: PageQuery = FIRST_PAGE
) -> Page[Invitation]:
    """
    Read the invitations, newest first.

    Those for a role above the caller's own are left out, because the caller may not cancel them.

    Raises:
        SessionRequired: The principal is an API key. Invitations contain addresses and grant membership.
        ValidationFailed: The cursor is not valid.
    """
    require_session(principal)
    visible = [role for role in roles.RANK if not seen.ranks_below(role)]
    organization_id = seen.organization.id
    found = tx.organizations.list_invitations(
        organization_id, roles=visible, after=page.position, limit=page.limit + 1
    )
    total = tx.organizations.count_invitations(organization_id, roles=visible)
    return page_of(found, page, total=total, position=lambda each: (each.created_at, each.id))


def record(tx: Transaction, action: str, member: Member, *, details: Mapping[str, object]) -> None:
    """Record an event about *member*."""
    audit_event = AuditEvent(
        action=action, user_id=member.user_id, organization_id=member.organization_id, details=details
    )
    tx.record(audit_event)


def acts_in(principal: Principal, organization_id: str) -> bool:
    """Return whether *principal* may read the organization at all: a scoped API key acts in one only."""
    return principal.kind != "api_key" or principal.organization_id in (None, organization_id)


def session_of(principal: Principal) -> str:
    """
    Return the session of *principal*.

    Raises:
        SessionRequired: There is none.
    """
    if principal.session_id is None:
        raise SessionRequired
    return principal.session_id


def find_member(tx: Transaction, organization_id: str, text: str, *, named_by: MemberKey) -> Member | None:
    """Find a member of this organization by the key in the request."""
    match named_by:
        case "user_id":
            return tx.organizations.find_member(organization_id, text)
        case "member_id":
            member = tx.organizations.find_member_by_id(text)
            return member if member is not None and member.organization_id == organization_id else None
        case "email":
            email = find_canonical_email(text)
            user = tx.users.find_by_email(email) if email is not None else None
            return tx.organizations.find_member(organization_id, user.id) if user is not None else None
    assert_never(named_by)


def known_member(member: Member | None) -> Member:
    """
    Refuse if there is no member.

    Raises:
        UnknownMember: *member* is None.
    """
    if member is None:
        raise UnknownMember
    return member


def check_not_last_owner(tx: Transaction, member: Member) -> None:
    """
    Refuse to remove the last owner. Call it with the organization locked.

    Raises:
        LastOwner: *member* is the last one.
    """
    if member.role == roles.OWNER and tx.organizations.count_owners(member.organization_id) <= 1:
        organization = tx.organizations.find(member.organization_id)
        name = "" if organization is None else organization.name
        raise LastOwner(details=((("organizations", member.organization_id), name),))


def remove_member(tx: Transaction, member: Member, *, reason: str) -> None:
    """
    Remove *member*, revoke their API keys for the organization, and record both. Call it with the organization locked.

    Raises:
        UnknownMember: They are gone already.
    """
    # Creating a key locks its owner: either it existed before and is revoked now, or it finds no membership.
    tx.users.lock(member.user_id)
    tx.factor_rules.remember_first_join(member.organization_id, member.user_id, joined_at=member.created_at)
    if not tx.organizations.remove_member(member.organization_id, member.user_id):
        raise UnknownMember
    revoke_keys(tx, user_id=member.user_id, organization_id=member.organization_id, reason=f"member_{reason}")
    end_membership(tx, member, reason=reason)


def keys_of_member(tx: Transaction, member: Member) -> Sequence[OwnedApiKey]:
    """Read the first API keys that a membership's end would revoke."""
    theirs = KeyFilter(owner=member.user_id, unexpired=True)
    return tx.api_keys.list_acting(member.organization_id, theirs, limit=DEFAULT_PAGE, now=tx.now)


def check_no_keys(tx: Transaction, member: Member) -> None:
    """
    Refuse to revoke API keys without confirmation.

    Raises:
        MemberHasApiKeys
    """
    if found := keys_of_member(tx, member):
        raise MemberHasApiKeys(details=[(("apiKeys", each.key.id), each.key.name) for each in found])


def end_membership(tx: Transaction, member: Member, *, reason: str) -> None:
    """Clear the organization from the sessions of a former member, and record it."""
    for session in tx.sessions.list_live(member.user_id, now=tx.now):
        if session.organization_id == member.organization_id:
            tx.sessions.set_organization(session.id, None)
    details = {"role": member.role, "reason": reason}
    record(tx, types.MEMBER_REMOVED, member, details=details)
