"""Members and their roles: who gives and takes them, the last owner, and what goes with a member."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product

import pytest

from czo_auth.core.errors import (
    LastOwner,
    NotMemberOfOrganization,
    UnknownMember,
    UnknownRole,
)
from czo_auth.core.events import types
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.principal import Principal
from tests.core.flows.deployment import NOW, Deployment, nowhere, open_deployment, outcome
from tests.core.flows.organizations.acting import (
    ROLES,
    ROUNDS,
    by,
    change_role,
    delete,
    remove,
)
from tests.support.users import from_here


# --- roles -----------------------------------------------------------------------------------------------------------
async def test_nobody_grants_or_changes_a_role_above_their_own(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    actor, target = await deployment.person("actor"), await deployment.person("target")
    expected, seen = {}, {}

    for own, present, wanted in product(ROLES, repeat=3):
        await deployment.join(acme, actor, own)
        await deployment.join(acme, target, present)
        seen[own, present, wanted] = await outcome(change_role(deployment, actor, acme, target, wanted))
        if own == "owner" or (own == "admin" and "owner" not in (present, wanted)):
            expected[own, present, wanted] = "done"
            assert await deployment.role_of(acme, target) == wanted
        else:
            above = own == "admin" and present != "owner"
            expected[own, present, wanted] = "RoleAboveOwn" if above else "Forbidden"
            assert await deployment.role_of(acme, target) == present

    assert seen == expected


async def test_nobody_removes_a_role_above_their_own_and_everybody_may_leave(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    actor, target = await deployment.person("actor"), await deployment.person("target")

    for own, present in product(ROLES, repeat=2):
        await deployment.join(acme, actor, own)
        await deployment.join(acme, target, present)
        may = own == "owner" or (own == "admin" and present != "owner")
        assert await outcome(remove(deployment, actor, acme, target)) == ("done" if may else "Forbidden"), (
            own,
            present,
        )
        assert (await deployment.role_of(acme, target) is None) == may
        assert await outcome(remove(deployment, actor, acme, actor)) == "done"
        assert await deployment.role_of(acme, actor) is None


async def test_who_may_remove_nobody_learns_nothing_about_who_is_there(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    viewer = await deployment.member(acme, "vic", "viewer")
    stranger = await deployment.person("stranger")

    assert await outcome(remove(deployment, viewer, acme, ada)) == "Forbidden"
    assert await outcome(remove(deployment, viewer, acme, stranger)) == "Forbidden"
    assert await outcome(change_role(deployment, viewer, acme, stranger, "viewer")) == "Forbidden"
    assert await outcome(remove(deployment, ada, acme, stranger)) == "UnknownMember"


async def test_change_of_role_is_reported_once_with_the_role_before(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    bob = await deployment.member(acme, "bob", "member")

    await change_role(deployment, ada, acme, bob, "admin")
    await change_role(deployment, ada, acme, bob, "admin")

    (event,) = await deployment.events(types.ROLE_CHANGED)
    assert event.user_id == bob.user_id
    assert {name: event.data[name] for name in ("role", "previousRole", "organizationId")} == {
        "role": "admin",
        "previousRole": "member",
        "organizationId": acme.id,
    }


@pytest.mark.parametrize("role", ["", "Owner", "root", "owner,admin"])
async def test_unknown_role_is_refused(migrated_sqlite_url: str, role: str) -> None:
    async with open_deployment(migrated_sqlite_url) as deployment:
        ada = await deployment.person("ada")
        acme = await deployment.organization(ada)
        bob = await deployment.member(acme, "bob", "member")
        with pytest.raises(UnknownRole):
            await change_role(deployment, ada, acme, bob, role)


async def test_demotion_leaves_the_keys_alone(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    bob = await deployment.member(acme, "bob", "admin")
    key = await deployment.api_key(bob, acme)

    await change_role(deployment, ada, acme, bob, "viewer")

    machine = await deployment.runtime.authenticate.api_key(key.key, client=nowhere, now=NOW)
    assert machine.organization_role == "viewer"
    assert await deployment.events(types.API_KEY_REVOKED) == []


# --- the last owner --------------------------------------------------------------------------------------------------
async def test_last_owner_stays_owner(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    bob = await deployment.member(acme, "bob", "admin")

    with pytest.raises(LastOwner):
        await remove(deployment, ada, acme, ada)
    with pytest.raises(LastOwner):
        await deployment.members.leave(acme.id, context=from_here(NOW).of(ada))
    with pytest.raises(LastOwner):
        await change_role(deployment, ada, acme, ada, "admin")
    assert await deployment.role_of(acme, ada) == "owner"

    await change_role(deployment, ada, acme, bob, "owner")
    await deployment.members.leave(acme.id, context=from_here(NOW).of(ada))
    assert await deployment.role_of(acme, ada) is None
    with pytest.raises(LastOwner):
        await change_role(deployment, bob, acme, bob, "viewer")


Race = Callable[[Deployment, Organization, Principal, Principal], Awaitable[object]]
RACES: dict[str, Race] = {
    "remove each other": lambda deployment, acme, own, other: remove(deployment, own, acme, other),
    "leave": lambda deployment, acme, own, other: remove(deployment, own, acme, own),
    "demote each other": lambda deployment, acme, own, other: change_role(
        deployment, own, acme, other, "viewer"
    ),
    "demote themselves": lambda deployment, acme, own, other: change_role(
        deployment, own, acme, own, "member"
    ),
}


@pytest.mark.each_database
@pytest.mark.parametrize("name", RACES)
async def test_of_two_owners_at_once_one_stays(
    two_deployments: tuple[Deployment, Deployment], name: str
) -> None:
    first, second = two_deployments
    act = RACES[name]
    ada, bob = await first.person("ada"), await first.person("bob")

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        await first.join(acme, bob, "owner")
        outcomes = await asyncio.gather(
            outcome(act(first, acme, ada, bob)), outcome(act(second, acme, bob, ada))
        )
        assert await first.owners(acme) == 1, outcomes
        assert outcomes.count("done") == 1, outcomes


# --- what goes with a member -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("leaves", [True, False])
async def test_removed_member_loses_keys_and_active_organization_for_good(
    deployment: Deployment, leaves: bool
) -> None:
    ada = await deployment.person("ada")
    acme, other = await deployment.organization(ada, "Acme"), await deployment.organization(ada, "Other")
    token = await deployment.sign_in(await deployment.user("bob"))
    bob = await deployment.proved(token)
    await deployment.join(acme, bob, "admin")
    await deployment.join(other, bob, "admin")
    key, kept, foreign = (
        await deployment.api_key(bob, acme),
        await deployment.api_key(bob, other),
        await deployment.api_key(ada, acme),
    )
    unscoped = await deployment.api_key(bob)
    await deployment.organizations.activate(acme.id, context=by(bob))

    await remove(deployment, bob if leaves else ada, acme, bob)

    assert {each.id for each in await deployment.live_keys(bob)} == {kept.api_key.id, unscoped.api_key.id}
    assert [each.id for each in await deployment.live_keys(ada)] == [foreign.api_key.id]
    (revoked,) = await deployment.events(types.API_KEY_REVOKED)
    assert (revoked.user_id, revoked.data["apiKeyId"]) == (bob.user_id, key.api_key.id)
    (removed,) = await deployment.events(types.MEMBER_REMOVED)
    assert (removed.user_id, removed.data["organizationId"]) == (bob.user_id, acme.id)
    assert (removed.data["role"], removed.data["reason"]) == ("admin", "left" if leaves else "removed")

    await deployment.join(acme, bob, "admin")
    assert {each.id for each in await deployment.live_keys(bob)} == {kept.api_key.id, unscoped.api_key.id}
    assert (await deployment.proved(token)).organization_id is None


@pytest.mark.each_database
async def test_key_created_during_the_removal_does_not_survive_it(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada, bob = await first.person("ada"), await first.person("bob")
    acme = await first.organization(ada)

    for _ in range(ROUNDS):
        await first.join(acme, bob, "admin")
        outcomes = await asyncio.gather(
            outcome(first.api_key(bob, acme)), outcome(remove(second, ada, acme, bob))
        )
        assert outcomes[0] in ("done", NotMemberOfOrganization.__name__)
        assert outcomes[1] == "done"
        assert await first.live_keys(bob) == []


@pytest.mark.each_database
async def test_key_created_during_the_deletion_does_not_survive_it(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada, bob = await first.person("ada"), await first.person("bob")

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        await first.join(acme, bob, "admin")
        outcomes = await asyncio.gather(outcome(first.api_key(bob, acme)), outcome(delete(second, ada, acme)))
        assert outcomes[0] in ("done", NotMemberOfOrganization.__name__)
        assert outcomes[1] == "done"
        assert await first.live_keys(bob) == []


# --- naming members --------------------------------------------------------------------------------------------------
async def test_member_can_be_named_by_membership_or_address(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    bob, eve = await deployment.person("bob"), await deployment.person("eve")
    member = await deployment.join(acme, bob, "member")
    await deployment.join(acme, eve, "member")

    changed = await deployment.members.change_role(
        acme.id, member.id, role="viewer", named_by="member_id", context=from_here(NOW).of(ada)
    )
    assert (changed.user_id, changed.role) == (bob.user_id, "viewer")
    removed = await deployment.members.remove_member(
        acme.id, " EVE@Example.com", named_by="email", context=from_here(NOW).of(ada)
    )
    assert removed.user_id == eve.user_id


async def test_membership_of_another_organization_is_unknown_here(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme, foreign = await deployment.organization(ada, "Acme"), await deployment.organization(bob, "Foreign")
    member = await deployment.join(foreign, await deployment.person("eve"), "member")

    for named_by, text in (("member_id", member.id), ("user_id", member.user_id), ("email", member.email)):
        with pytest.raises(UnknownMember):
            await deployment.members.remove_member(
                acme.id, text, named_by=named_by, context=from_here(NOW).of(ada)
            )
