"""The organization that a request acts in, if its URL names one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial

from czo_auth.core.context import Context
from czo_auth.core.errors import OrganizationScopeMismatch
from czo_auth.core.flows.required_factor import lacks_required_factor
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import is_id
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction


async def act_in_organization(
    services: Services, principal: Principal, organization_id: str, *, now: datetime
) -> Principal:
    """
    Return *principal* acting in an organization, with the user's current role there.

    An API key acts in its own organization and in no other.

    Raises:
        OrganizationScopeMismatch: It does not exist, the user is not a member, or the key belongs elsewhere.
    """
    if principal.organization_id == organization_id:
        return principal
    if principal.kind != "session" or not is_id(organization_id):
        raise OrganizationScopeMismatch("You do not act in this organization.")

    def read_member(tx: Transaction) -> tuple[str, bool]:
        member = tx.organizations.find_member(organization_id, principal.require_user())
        if member is None:
            raise OrganizationScopeMismatch("You do not act in this organization.")
        return member.role, lacks_required_factor(tx, member)

    role, demands_factor = await services.transactions.read(read_member, Context(now=now).of(principal))
    may_use = partial(
        services.policies.scopes.allows,
        actor_types=principal.actor_types,
        organization_role=role,
        administers=principal.administers,
    )
    return replace(
        principal,
        organization_id=organization_id,
        organization_role=role,
        may_use=may_use,
        organization_demands_factor=demands_factor,
    )
