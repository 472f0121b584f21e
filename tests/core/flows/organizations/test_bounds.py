"""How many organizations one person can make and join (S44)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from czo_auth.core.budgets import Budget
from czo_auth.core.errors import OrganizationLimitReached, RateLimited
from czo_auth.core.flows.organizations.changes import NewOrganization
from czo_auth.core.flows.organizations.invitations import NewInvitation
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_MEMBERSHIPS, MAX_ORGANIZATIONS_A_DAY
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from tests.core.flows.deployment import NOW, Deployment, outcome
from tests.support.records import an_organization
from tests.support.users import from_here


async def count_as_created(deployment: Deployment, person: Principal, number: int) -> None:
    """Count *number* organizations of today, without the time that it takes to create them."""
    budget = Budget(name=f"organizations/{person.user_id}", limit=MAX_ORGANIZATIONS_A_DAY)

    def count(tx: Transaction) -> None:
        for _ in range(number):
            assert tx.budgets.spend(budget, now=NOW) is None

    await deployment.transactions.run(count)


async def test_organizations_of_a_day_are_bounded_whatever_became_of_them(deployment: Deployment) -> None:
    """Deleting them leaves their audit records, handing them over leaves all: neither makes room for more."""
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    context = from_here(NOW).of(ada)
    await count_as_created(deployment, ada, MAX_ORGANIZATIONS_A_DAY - 4)
    for number in range(4):
        acme = await deployment.organization(ada, f"O{number}")
        if number % 2:
            await deployment.organizations.delete(acme.id, context=context)
        else:
            await deployment.join(acme, bob, "owner")
            await deployment.members.remove_member(acme.id, ada.require_user(), context=context)

    assert (await deployment.organizations.list(ada)).total == 0
    with pytest.raises(RateLimited) as refusal:
        await deployment.organization(ada)
    assert refusal.value.retry_after == 86_400
    assert (await deployment.organizations.list(bob)).total == 2
    await deployment.organization(bob)

    tomorrow = from_here(NOW + timedelta(days=1)).of(ada)
    await deployment.organizations.create(NewOrganization(name="Acme"), context=tomorrow)


async def test_refused_organization_does_not_count(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    context = from_here(NOW).of(ada)
    taken = NewOrganization(name="Acme", slug="acme")
    await deployment.organizations.create(taken, context=context)
    await count_as_created(deployment, ada, MAX_ORGANIZATIONS_A_DAY - 2)
    for _ in range(3):
        assert await outcome(deployment.organizations.create(taken, context=context)) == "SlugTaken"
    await deployment.organization(ada)
    assert await outcome(deployment.organizations.create(taken, context=context)) == "RateLimited"


async def fill(deployment: Deployment, person: Principal, count: int) -> None:
    """Make *person* a member of *count* organizations, past every rule."""

    def add(tx: Transaction) -> None:
        for number in range(count):
            organization = an_organization(now=NOW, slug=f"o-{number}", created_by=person.require_user())
            assert tx.organizations.add(organization)
            assert tx.organizations.add_member(
                new_id(NOW),
                organization_id=organization.id,
                user_id=person.require_user(),
                role="member",
                now=NOW,
            )

    await deployment.transactions.run(add)


async def test_person_joins_a_thousand_organizations_and_no_more_also_at_once(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada = await first.person("ada", email_verified=True)
    bob = await first.person("bob", email_verified=True)
    await fill(first, bob, MAX_MEMBERSHIPS - 1)
    tokens = []
    for number in range(6):
        acme = await first.organization(ada, f"Acme {number}")
        new = NewInvitation(email="bob@example.com", role="member")
        tokens.append((await first.invitations.invite(acme.id, new, context=from_here(NOW).of(ada))).token)

    outcomes = await asyncio.gather(
        *(
            outcome(
                (first, second)[number % 2].received_invitations.accept_by_token(
                    token, context=from_here(NOW).of(bob)
                )
            )
            for number, token in enumerate(tokens)
        )
    )
    assert sorted(outcomes) == [OrganizationLimitReached.__name__] * 5 + ["done"]
    assert (await first.organizations.list(bob)).total == MAX_MEMBERSHIPS
    with pytest.raises(OrganizationLimitReached):
        await first.organization(bob)

    left = tokens[outcomes.index(OrganizationLimitReached.__name__)]
    (own, _), *_ = (await first.organizations.list(bob)).items
    await first.members.remove_member(own.id, bob.require_user(), context=from_here(NOW).of(bob))
    await first.received_invitations.accept_by_token(left, context=from_here(NOW).of(bob))
