"""What people do with organizations, members and invitations, in one call each."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.flows.organizations.changes import OrganizationChanges
from czo_auth.core.flows.organizations.invitations import NewInvitation, SentInvitation
from czo_auth.core.flows.organizations.received_invitations import AcceptedInvitation
from czo_auth.core.organizations.organization import Invitation, Organization
from czo_auth.core.principal import Principal
from tests.core.flows.deployment import NOW, Deployment
from tests.support.users import from_here

ROLES = ("viewer", "member", "admin", "owner")
ROUNDS = 12


def by(principal: Principal) -> Context:
    return Context(now=NOW).of(principal)


def change_role(
    deployment: Deployment, by: Principal, organization: Organization, of: Principal, role: str
) -> Awaitable[object]:
    return deployment.members.change_role(
        organization.id, of.user_id, role=role, context=from_here(NOW).of(by)
    )


def remove(
    deployment: Deployment, by: Principal, organization: Organization, of: Principal
) -> Awaitable[object]:
    return deployment.members.remove_member(organization.id, of.user_id, context=from_here(NOW).of(by))


def update(
    deployment: Deployment, by: Principal, organization: Organization, **values: object
) -> Awaitable[object]:
    changes = OrganizationChanges(given=frozenset(values), **values)  # type: ignore[arg-type]
    return deployment.organizations.update(organization.id, changes, context=from_here(NOW).of(by))


def delete(deployment: Deployment, by: Principal, organization: Organization) -> Awaitable[object]:
    return deployment.organizations.delete(organization.id, context=from_here(NOW).of(by))


def invite(
    deployment: Deployment,
    by: Principal,
    organization: Organization,
    email: str = "bob@example.com",
    role: str = "member",
    *,
    resends: bool = False,
    now: datetime = NOW,
) -> Awaitable[SentInvitation]:
    new = NewInvitation(email=email, role=role, resends=resends)
    return deployment.invitations.invite(organization.id, new, context=from_here(now).of(by))


def accept(
    deployment: Deployment, by: Principal, token: str, *, now: datetime = NOW
) -> Awaitable[AcceptedInvitation]:
    return deployment.received_invitations.accept_by_token(token, context=from_here(now).of(by))


def accept_by_id(deployment: Deployment, by: Principal, invitation_id: str) -> Awaitable[AcceptedInvitation]:
    return deployment.received_invitations.accept_by_id(invitation_id, context=from_here(NOW).of(by))


def reject(deployment: Deployment, by: Principal, invitation_id: str) -> Awaitable[Invitation]:
    return deployment.received_invitations.reject(invitation_id, context=from_here(NOW).of(by))


def cancel(
    deployment: Deployment, by: Principal, invitation_id: str, organization: Organization | None = None
) -> Awaitable[Invitation]:
    return deployment.invitations.cancel(
        invitation_id,
        organization_id=organization.id if organization else None,
        context=from_here(NOW).of(by),
    )
