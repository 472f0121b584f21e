from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import product

import pytest

from czo_auth.core.errors import (
    CannotFoundOrganization,
    Forbidden,
    LastOwner,
    NotFound,
    NotMemberOfOrganization,
    OrganizationLimitReached,
    OrganizationScopeMismatch,
    SlugTaken,
    UnknownMember,
    UnknownOrganization,
    UnknownRole,
    ValidationFailed,
)
from czo_auth.core.events import types
from czo_auth.core.flows.organizations.manage import ManageOrganizations, NewOrganization, OrganizationChanges
from czo_auth.core.ids import new_id
from czo_auth.core.organizations.organization import Organization, OrganizationPolicy
from czo_auth.core.principal import Principal
from tests.core.flows.deployment import FROM_HERE, NOW, Town, nowhere, open_town, outcome

ROLES = ("viewer", "member", "admin", "owner")
ROUNDS = 12


def change_role(
    town: Town, by: Principal, organization: Organization, of: Principal, role: str
) -> Awaitable[object]:
    return town.organizations.change_role(
        by, organization.id, of.user_id, role=role, provenance=FROM_HERE, now=NOW
    )


def remove(town: Town, by: Principal, organization: Organization, of: Principal) -> Awaitable[object]:
    return town.organizations.remove_member(by, organization.id, of.user_id, provenance=FROM_HERE, now=NOW)


def update(town: Town, by: Principal, organization: Organization, **values: object) -> Awaitable[object]:
    changes = OrganizationChanges(given=frozenset(values), **values)  # type: ignore[arg-type]
    return town.organizations.update(by, organization.id, changes, provenance=FROM_HERE, now=NOW)


def delete(town: Town, by: Principal, organization: Organization) -> Awaitable[object]:
    return town.organizations.delete(by, organization.id, provenance=FROM_HERE, now=NOW)


# --- founding --------------------------------------------------------------------------------------------------------
async def test_founder_is_owner_and_the_events_say_so(town: Town) -> None:
    ada = await town.person("ada")

    made = await town.organizations.create(
        ada,
        NewOrganization(name="  Ada & Sons ", slug="ada-sons", metadata={"tier": 1}),
        provenance=FROM_HERE,
        now=NOW,
    )

    assert (made.organization.name, made.organization.slug) == ("Ada & Sons", "ada-sons")
    assert made.member.role == "owner"
    assert await town.organizations.list(ada) == [(made.organization, "owner")]
    created, added = await town.events(types.ORGANIZATION_CREATED, types.MEMBER_ADDED)
    assert (created.type, added.type) == (types.ORGANIZATION_CREATED, types.MEMBER_ADDED)
    assert created.user_id == added.user_id == ada.user_id
    assert created.data["organizationId"] == added.data["organizationId"] == made.organization.id
    assert added.data["role"] == "owner"


async def test_founding_activates_only_where_it_was_asked_for(town: Town) -> None:
    user = await town.user("ada")
    token = await town.sign_in(user)
    ada = await town.proved(token)
    await town.organization(ada, "Quiet")
    assert (await town.proved(token)).organization_id is None

    made = await town.organizations.create(
        ada, NewOrganization(name="Loud", activates=True), provenance=FROM_HERE, now=NOW
    )

    now_active = await town.proved(token)
    assert (now_active.organization_id, now_active.organization_role) == (made.organization.id, "owner")


async def test_slug_belongs_to_one_organization_until_it_is_deleted(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    taken = NewOrganization(name="Acme", slug="acme")
    first = await town.organizations.create(ada, taken, provenance=FROM_HERE, now=NOW)
    assert not await town.organizations.is_slug_free("acme")
    with pytest.raises(SlugTaken):
        await town.organizations.create(bob, taken, provenance=FROM_HERE, now=NOW)
    assert await town.organizations.list(bob) == []

    await delete(town, ada, first.organization)

    assert await town.organizations.is_slug_free("acme")
    await town.organizations.create(bob, taken, provenance=FROM_HERE, now=NOW)


@pytest.mark.parametrize(
    "new",
    [
        NewOrganization(name="   "),
        NewOrganization(name="x" * 201),
        NewOrganization(name="Acme", slug=""),
        NewOrganization(name="Acme", slug="Acme"),
        NewOrganization(name="Acme", slug="a--b"),
        NewOrganization(name="Acme", slug="a\n"),
        NewOrganization(name="Acme", slug="x" * 65),
        NewOrganization(name="Acme", logo="x" * 2049),
        NewOrganization(name="Acme", metadata={"x": "é" * 2048}),
    ],
)
async def test_odd_input_founds_nothing(migrated_sqlite_url: str, new: NewOrganization) -> None:
    async with open_town(migrated_sqlite_url) as town:
        ada = await town.person("ada")
        with pytest.raises(ValidationFailed):
            await town.organizations.create(ada, new, provenance=FROM_HERE, now=NOW)
        assert await town.organizations.list(ada) == []


async def test_limit_of_organizations_owned_holds_against_requests_at_once(
    two_doors: tuple[Town, Town],
) -> None:
    first, second = two_doors
    ada = await first.person("ada")
    policy = OrganizationPolicy(limit=2)
    doors = [
        ManageOrganizations(
            replace(
                town.runtime.services, policies=replace(town.runtime.services.policies, organizations=policy)
            )
        )
        for town in (first, second)
    ]

    outcomes = await asyncio.gather(
        *(
            outcome(
                doors[number % 2].create(
                    ada, NewOrganization(name=f"O{number}"), provenance=FROM_HERE, now=NOW
                )
            )
            for number in range(6)
        )
    )

    assert outcomes.count("done") == 2
    assert outcomes.count(OrganizationLimitReached.__name__) == 4
    assert len(await first.organizations.list(ada)) == 2


async def test_founding_can_be_kept_to_actor_types_that_found(town: Town) -> None:
    services = town.runtime.services
    policy = OrganizationPolicy(founding_open=False)
    closed = ManageOrganizations(replace(services, policies=replace(services.policies, organizations=policy)))
    ada = await town.person("ada")

    with pytest.raises(CannotFoundOrganization):
        await closed.create(ada, NewOrganization(name="Acme"), provenance=FROM_HERE, now=NOW)

    merchant = replace(ada, actor_type="merchant")
    await closed.create(merchant, NewOrganization(name="Acme"), provenance=FROM_HERE, now=NOW)


# --- reading ---------------------------------------------------------------------------------------------------------
async def test_stranger_cannot_tell_an_organization_from_none(town: Town) -> None:
    ada, stranger = await town.person("ada"), await town.person("stranger")
    acme = await town.organization(ada)
    acts: list[Callable[[Organization], Awaitable[object]]] = [
        lambda of: town.organizations.get(stranger, of.id),
        lambda of: town.organizations.get_full(stranger, of.id),
        lambda of: town.organizations.get_by_slug(stranger, of.slug),
        lambda of: town.organizations.list_members(stranger, of.id),
        lambda of: town.organizations.get_member(stranger, of.id, ada.user_id),
        lambda of: town.organizations.has_permissions(stranger, of.id, ["organization:read"]),
        lambda of: town.organizations.activate(stranger, of.id),
        lambda of: update(town, stranger, of, name="Mine"),
        lambda of: delete(town, stranger, of),
        lambda of: change_role(town, stranger, of, ada, "viewer"),
        lambda of: remove(town, stranger, of, ada),
        lambda of: town.organizations.leave(stranger, of.id, provenance=FROM_HERE, now=NOW),
    ]
    unknown = [replace(acme, id=new_id(NOW), slug="nothing"), replace(acme, id="not-an-id", slug="no slug")]

    for act in acts:
        for of in (acme, *unknown):
            with pytest.raises(NotFound) as caught:
                await act(of)
            assert (caught.type, caught.value.code, caught.value.message) == (
                UnknownOrganization,
                NotFound.code,
                NotFound.message,
            )
    assert await town.role_of(acme, ada) == "owner"


async def test_viewer_sees_the_organization_and_no_members(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    viewer = await town.member(acme, "vic", "viewer")
    member = await town.member(acme, "mel", "member")

    with pytest.raises(Forbidden):
        await town.organizations.list_members(viewer, acme.id)
    with pytest.raises(Forbidden):
        await town.organizations.get_member(viewer, acme.id, ada.user_id)
    assert (await town.organizations.get_member(viewer, acme.id, viewer.user_id)).role == "viewer"
    full = await town.organizations.get_full(viewer, acme.id)
    assert [each.user_id for each in full.members] == [viewer.user_id]
    assert {each.user_id for each in await town.organizations.list_members(member, acme.id)} == {
        ada.user_id,
        viewer.user_id,
        member.user_id,
    }
    with pytest.raises(UnknownMember):
        await town.organizations.get_member(member, acme.id, (await town.person("eve")).user_id)


async def test_permissions_are_asked_of_the_present_role(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    admin = await town.member(acme, "adm", "admin")
    may = town.organizations.has_permissions

    assert await may(ada, acme.id, ["organization:delete", "invitation:create"])
    assert await may(admin, acme.id, ["organization:update", "invitation:create"])
    assert not await may(admin, acme.id, ["organization:update", "organization:delete"])
    assert not await may(ada, acme.id, [])
    assert not await may(ada, acme.id, ["spaceship:launch"])


async def test_scoped_key_reads_its_own_organization_only(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme, other = await town.organization(ada, "Acme"), await town.organization(ada, "Other")
    foreign = await town.organization(bob, "Foreign")
    key = await town.api_key(ada, acme)
    machine = await town.runtime.authenticate.api_key(key.key, client=nowhere, now=NOW)

    assert [of.id for of, _ in await town.organizations.list(machine)] == [acme.id]
    assert (await town.organizations.get(machine, acme.id)).organization == acme
    assert len(await town.organizations.list_members(machine, acme.id)) == 1
    for act in (town.organizations.get, town.organizations.get_full, town.organizations.list_members):
        with pytest.raises(OrganizationScopeMismatch):
            await act(machine, other.id)
        with pytest.raises(UnknownOrganization):
            await act(machine, foreign.id)


async def test_unscoped_key_reads_all_organizations_of_its_owner(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme, other = await town.organization(ada, "Acme"), await town.organization(ada, "Other")
    foreign = await town.organization(bob, "Foreign")
    machine = await town.runtime.authenticate.api_key((await town.api_key(ada)).key, client=nowhere, now=NOW)

    assert {of.id for of, _ in await town.organizations.list(machine)} == {acme.id, other.id}
    assert (await town.organizations.get(machine, other.id)).member.role == "owner"
    with pytest.raises(UnknownOrganization):
        await town.organizations.get(machine, foreign.id)


# --- changing --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
async def test_owners_and_admins_change_and_only_owners_delete(town: Town, role: str) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    someone = await town.member(acme, "someone", role)

    renamed = await outcome(update(town, someone, acme, name="Renamed"))
    deleted = await outcome(delete(town, someone, acme))

    assert renamed == ("done" if role in ("admin", "owner") else "Forbidden")
    assert deleted == ("done" if role == "owner" else "Forbidden")


async def test_only_what_was_sent_is_changed(town: Town) -> None:
    ada = await town.person("ada")
    new = NewOrganization(name="Acme", slug="acme", logo="https://example.com/a.svg", metadata={"a": 1})
    acme = (await town.organizations.create(ada, new, provenance=FROM_HERE, now=NOW)).organization

    await update(town, ada, acme, name="Acme 2")
    assert (await town.organizations.get(ada, acme.id)).organization == replace(acme, name="Acme 2")
    await update(town, ada, acme, logo=None, metadata=None, slug="acme-2")
    assert (await town.organizations.get(ada, acme.id)).organization == replace(
        acme, name="Acme 2", slug="acme-2", logo=None, metadata=None
    )
    await update(town, ada, acme)
    await update(town, ada, acme, slug="acme-2")
    changed = [record.fact.details["changed"] for record in await town.audit("auth.org.updated")]
    assert changed == [["name"], ["logo", "metadata", "slug"]]


@pytest.mark.parametrize("values", [{"name": " "}, {"name": None}, {"slug": None}, {"slug": "Not A Slug"}])
async def test_odd_changes_are_refused(migrated_sqlite_url: str, values: dict[str, object]) -> None:
    async with open_town(migrated_sqlite_url) as town:
        ada = await town.person("ada")
        acme = await town.organization(ada)
        with pytest.raises(ValidationFailed):
            await update(town, ada, acme, **values)


async def test_slug_of_another_organization_cannot_be_taken(town: Town) -> None:
    ada = await town.person("ada")
    acme, other = await town.organization(ada, "Acme"), await town.organization(ada, "Other")

    with pytest.raises(SlugTaken):
        await update(town, ada, acme, slug=other.slug, name="Renamed")

    assert (await town.organizations.get(ada, acme.id)).organization == acme


async def test_deletion_ends_what_leaned_on_the_organization(town: Town) -> None:
    ada_token = await town.sign_in(await town.user("ada"))
    ada = await town.proved(ada_token)
    acme = await town.organization(ada)
    admin = await town.member(acme, "adm", "admin")
    keys = [await town.api_key(ada, acme), await town.api_key(admin, acme)]
    untouched = await town.api_key(ada)
    await town.organizations.activate(ada, acme.id)

    await delete(town, ada, acme)

    assert [key.id for key in await town.live_keys(ada)] == [untouched.api_key.id]
    assert await town.live_keys(admin) == []
    revoked = await town.events(types.API_KEY_REVOKED)
    assert {event.data["apiKeyId"] for event in revoked} == {key.api_key.id for key in keys}
    removed = await town.events(types.MEMBER_REMOVED)
    assert {event.user_id for event in removed} == {ada.user_id, admin.user_id}
    assert {event.data["reason"] for event in removed} == {"organization_deleted"}
    assert [record.fact.organization_id for record in await town.audit("auth.org.deleted")] == [acme.id]
    session, _ = await town.runtime.sessions.current(await town.proved(ada_token))
    assert session.organization_id is None
    with pytest.raises(UnknownOrganization):
        await delete(town, ada, acme)


async def test_active_organization_is_one_of_the_users_own(town: Town) -> None:
    token = await town.sign_in(await town.user("ada"))
    ada = await town.proved(token)
    acme = await town.organization(ada)

    await town.organizations.activate(ada, acme.id)
    assert (await town.proved(token)).organization_id == acme.id
    await town.organizations.deactivate(ada)
    assert (await town.proved(token)).organization_id is None


# --- roles -----------------------------------------------------------------------------------------------------------
async def test_nobody_grants_or_changes_a_role_above_their_own(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    actor, target = await town.person("actor"), await town.person("target")
    expected, seen = {}, {}

    for own, present, wanted in product(ROLES, repeat=3):
        await town.join(acme, actor, own)
        await town.join(acme, target, present)
        seen[own, present, wanted] = await outcome(change_role(town, actor, acme, target, wanted))
        if own == "owner" or (own == "admin" and "owner" not in (present, wanted)):
            expected[own, present, wanted] = "done"
            assert await town.role_of(acme, target) == wanted
        else:
            above = own == "admin" and present != "owner"
            expected[own, present, wanted] = "RoleAboveOwn" if above else "Forbidden"
            assert await town.role_of(acme, target) == present

    assert seen == expected


async def test_nobody_removes_a_role_above_their_own_and_everybody_may_leave(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    actor, target = await town.person("actor"), await town.person("target")

    for own, present in product(ROLES, repeat=2):
        await town.join(acme, actor, own)
        await town.join(acme, target, present)
        may = own == "owner" or (own == "admin" and present != "owner")
        assert await outcome(remove(town, actor, acme, target)) == ("done" if may else "Forbidden"), (
            own,
            present,
        )
        assert (await town.role_of(acme, target) is None) == may
        assert await outcome(remove(town, actor, acme, actor)) == "done"
        assert await town.role_of(acme, actor) is None


async def test_who_may_remove_nobody_learns_nothing_about_who_is_there(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    viewer = await town.member(acme, "vic", "viewer")
    stranger = await town.person("stranger")

    assert await outcome(remove(town, viewer, acme, ada)) == "Forbidden"
    assert await outcome(remove(town, viewer, acme, stranger)) == "Forbidden"
    assert await outcome(change_role(town, viewer, acme, stranger, "viewer")) == "Forbidden"
    assert await outcome(remove(town, ada, acme, stranger)) == "UnknownMember"


async def test_change_of_role_is_told_once_with_the_role_before(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    bob = await town.member(acme, "bob", "member")

    await change_role(town, ada, acme, bob, "admin")
    await change_role(town, ada, acme, bob, "admin")

    (event,) = await town.events(types.ROLE_CHANGED)
    assert event.user_id == bob.user_id
    assert {name: event.data[name] for name in ("role", "previousRole", "organizationId")} == {
        "role": "admin",
        "previousRole": "member",
        "organizationId": acme.id,
    }


@pytest.mark.parametrize("role", ["", "Owner", "root", "owner,admin"])
async def test_unknown_role_is_refused(migrated_sqlite_url: str, role: str) -> None:
    async with open_town(migrated_sqlite_url) as town:
        ada = await town.person("ada")
        acme = await town.organization(ada)
        bob = await town.member(acme, "bob", "member")
        with pytest.raises(UnknownRole):
            await change_role(town, ada, acme, bob, role)


async def test_demotion_leaves_the_keys_alone(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    bob = await town.member(acme, "bob", "admin")
    key = await town.api_key(bob, acme)

    await change_role(town, ada, acme, bob, "viewer")

    machine = await town.runtime.authenticate.api_key(key.key, client=nowhere, now=NOW)
    assert machine.organization_role == "viewer"
    assert await town.events(types.API_KEY_REVOKED) == []


# --- the last owner --------------------------------------------------------------------------------------------------
async def test_last_owner_stays_owner(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    bob = await town.member(acme, "bob", "admin")

    with pytest.raises(LastOwner):
        await remove(town, ada, acme, ada)
    with pytest.raises(LastOwner):
        await town.organizations.leave(ada, acme.id, provenance=FROM_HERE, now=NOW)
    with pytest.raises(LastOwner):
        await change_role(town, ada, acme, ada, "admin")
    assert await town.role_of(acme, ada) == "owner"

    await change_role(town, ada, acme, bob, "owner")
    await town.organizations.leave(ada, acme.id, provenance=FROM_HERE, now=NOW)
    assert await town.role_of(acme, ada) is None
    with pytest.raises(LastOwner):
        await change_role(town, bob, acme, bob, "viewer")


Race = Callable[[Town, Organization, Principal, Principal], Awaitable[object]]
RACES: dict[str, Race] = {
    "remove each other": lambda town, acme, own, other: remove(town, own, acme, other),
    "leave": lambda town, acme, own, other: remove(town, own, acme, own),
    "demote each other": lambda town, acme, own, other: change_role(town, own, acme, other, "viewer"),
    "demote themselves": lambda town, acme, own, other: change_role(town, own, acme, own, "member"),
}


@pytest.mark.parametrize("name", RACES)
async def test_of_two_owners_at_once_one_stays(two_doors: tuple[Town, Town], name: str) -> None:
    first, second = two_doors
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
async def test_removed_member_loses_keys_and_active_organization_for_good(town: Town, leaves: bool) -> None:
    ada = await town.person("ada")
    acme, other = await town.organization(ada, "Acme"), await town.organization(ada, "Other")
    token = await town.sign_in(await town.user("bob"))
    bob = await town.proved(token)
    await town.join(acme, bob, "admin")
    await town.join(other, bob, "admin")
    key, kept, foreign = (
        await town.api_key(bob, acme),
        await town.api_key(bob, other),
        await town.api_key(ada, acme),
    )
    unscoped = await town.api_key(bob)
    await town.organizations.activate(bob, acme.id)

    await remove(town, bob if leaves else ada, acme, bob)

    assert {each.id for each in await town.live_keys(bob)} == {kept.api_key.id, unscoped.api_key.id}
    assert [each.id for each in await town.live_keys(ada)] == [foreign.api_key.id]
    (revoked,) = await town.events(types.API_KEY_REVOKED)
    assert (revoked.user_id, revoked.data["apiKeyId"]) == (bob.user_id, key.api_key.id)
    (removed,) = await town.events(types.MEMBER_REMOVED)
    assert (removed.user_id, removed.data["organizationId"]) == (bob.user_id, acme.id)
    assert (removed.data["role"], removed.data["reason"]) == ("admin", "left" if leaves else "removed")

    await town.join(acme, bob, "admin")
    assert {each.id for each in await town.live_keys(bob)} == {kept.api_key.id, unscoped.api_key.id}
    assert (await town.proved(token)).organization_id is None


async def test_key_created_during_the_removal_does_not_survive_it(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
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


async def test_key_created_during_the_deletion_does_not_survive_it(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
    ada, bob = await first.person("ada"), await first.person("bob")

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        await first.join(acme, bob, "admin")
        outcomes = await asyncio.gather(outcome(first.api_key(bob, acme)), outcome(delete(second, ada, acme)))
        assert outcomes[0] in ("done", NotMemberOfOrganization.__name__)
        assert outcomes[1] == "done"
        assert await first.live_keys(bob) == []


# --- naming members --------------------------------------------------------------------------------------------------
async def test_member_can_be_named_by_membership_or_address(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    bob, eve = await town.person("bob"), await town.person("eve")
    member = await town.join(acme, bob, "member")
    await town.join(acme, eve, "member")

    changed = await town.organizations.change_role(
        ada, acme.id, member.id, role="viewer", named_by="member_id", provenance=FROM_HERE, now=NOW
    )
    assert (changed.user_id, changed.role) == (bob.user_id, "viewer")
    removed = await town.organizations.remove_member(
        ada, acme.id, " EVE@Example.com", named_by="email", provenance=FROM_HERE, now=NOW
    )
    assert removed.user_id == eve.user_id


async def test_membership_of_another_organization_is_unknown_here(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme, foreign = await town.organization(ada, "Acme"), await town.organization(bob, "Foreign")
    member = await town.join(foreign, await town.person("eve"), "member")

    for named_by, text in (("member_id", member.id), ("user_id", member.user_id), ("email", member.email)):
        with pytest.raises(UnknownMember):
            await town.organizations.remove_member(
                ada,
                acme.id,
                text,
                named_by=named_by,  # type: ignore[arg-type]
                provenance=FROM_HERE,
                now=NOW,
            )
