from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from czo_auth.core.errors import (
    Forbidden,
    NotFound,
    OrganizationCreationNotAllowed,
    OrganizationLimitReached,
    OrganizationScopeMismatch,
    SlugTaken,
    UnknownMember,
    UnknownOrganization,
    ValidationFailed,
)
from czo_auth.core.events import types
from czo_auth.core.flows.organizations.changes import NewOrganization
from czo_auth.core.flows.organizations.manage import ManageOrganizations
from czo_auth.core.ids import new_id
from czo_auth.core.organizations.organization import Organization, OrganizationPolicy
from tests.core.flows.deployment import NOW, Deployment, nowhere, open_deployment, outcome
from tests.core.flows.organizations.acting import (
    ROLES,
    by,
    change_role,
    delete,
    remove,
    update,
)
from tests.support.users import from_here


# --- founding --------------------------------------------------------------------------------------------------------
async def test_founder_is_owner_and_the_events_say_so(deployment: Deployment) -> None:
    ada = await deployment.person("ada")

    made = await deployment.organizations.create(
        NewOrganization(name="  Ada & Sons ", slug="ada-sons", metadata={"tier": 1}),
        context=from_here(NOW).of(ada),
    )

    assert (made.organization.name, made.organization.slug) == ("Ada & Sons", "ada-sons")
    assert made.member.role == "owner"
    assert (await deployment.organizations.list(ada)).items == [(made.organization, "owner")]
    created, added = await deployment.events(types.ORGANIZATION_CREATED, types.MEMBER_ADDED)
    assert (created.type, added.type) == (types.ORGANIZATION_CREATED, types.MEMBER_ADDED)
    assert created.user_id == added.user_id == ada.user_id
    assert created.data["organizationId"] == added.data["organizationId"] == made.organization.id
    assert added.data["role"] == "owner"


async def test_founding_activates_only_where_it_was_asked_for(deployment: Deployment) -> None:
    user = await deployment.user("ada")
    token = await deployment.sign_in(user)
    ada = await deployment.proved(token)
    await deployment.organization(ada, "Quiet")
    assert (await deployment.proved(token)).organization_id is None

    made = await deployment.organizations.create(
        NewOrganization(name="Loud", activates=True), context=from_here(NOW).of(ada)
    )

    now_active = await deployment.proved(token)
    assert (now_active.organization_id, now_active.organization_role) == (made.organization.id, "owner")


async def test_slug_belongs_to_one_organization_until_it_is_deleted(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    taken = NewOrganization(name="Acme", slug="acme")
    first = await deployment.organizations.create(taken, context=from_here(NOW).of(ada))
    assert not await deployment.organizations.is_slug_free("acme")
    with pytest.raises(SlugTaken):
        await deployment.organizations.create(taken, context=from_here(NOW).of(bob))
    assert (await deployment.organizations.list(bob)).items == []

    await delete(deployment, ada, first.organization)

    assert await deployment.organizations.is_slug_free("acme")
    await deployment.organizations.create(taken, context=from_here(NOW).of(bob))


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
async def test_odd_input_creates_no_organization(migrated_sqlite_url: str, new: NewOrganization) -> None:
    async with open_deployment(migrated_sqlite_url) as deployment:
        ada = await deployment.person("ada")
        with pytest.raises(ValidationFailed):
            await deployment.organizations.create(new, context=from_here(NOW).of(ada))
        assert (await deployment.organizations.list(ada)).items == []


@pytest.mark.each_database
async def test_limit_of_organizations_owned_holds_against_requests_at_once(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada = await first.person("ada")
    policy = OrganizationPolicy(limit=2)
    processes = [
        ManageOrganizations(
            replace(
                deployment.runtime.services,
                policies=replace(deployment.runtime.services.policies, organizations=policy),
            )
        )
        for deployment in (first, second)
    ]

    outcomes = await asyncio.gather(
        *(
            outcome(
                processes[number % 2].create(
                    NewOrganization(name=f"O{number}"), context=from_here(NOW).of(ada)
                )
            )
            for number in range(6)
        )
    )

    assert outcomes.count("done") == 2
    assert outcomes.count(OrganizationLimitReached.__name__) == 4
    assert (await first.organizations.list(ada)).total == 2


async def test_founding_can_be_kept_to_actor_types_that_found(deployment: Deployment) -> None:
    services = deployment.runtime.services
    policy = OrganizationPolicy(founding_open=False)
    closed = ManageOrganizations(replace(services, policies=replace(services.policies, organizations=policy)))
    ada = await deployment.person("ada")

    with pytest.raises(OrganizationCreationNotAllowed):
        await closed.create(NewOrganization(name="Acme"), context=from_here(NOW).of(ada))

    merchant = replace(ada, actor_type="merchant")
    await closed.create(NewOrganization(name="Acme"), context=from_here(NOW).of(merchant))


# --- reading ---------------------------------------------------------------------------------------------------------
async def test_outsider_cannot_tell_whether_an_organization_exists(deployment: Deployment) -> None:
    ada, stranger = await deployment.person("ada"), await deployment.person("stranger")
    acme = await deployment.organization(ada)
    acts: list[Callable[[Organization], Awaitable[object]]] = [
        lambda of: deployment.organizations.get(of.id, context=by(stranger)),
        lambda of: deployment.organizations.get_full(of.id, context=by(stranger)),
        lambda of: deployment.organizations.get_by_slug(of.slug, context=by(stranger)),
        lambda of: deployment.members.list_members(of.id, context=by(stranger)),
        lambda of: deployment.members.get_member(of.id, ada.user_id, context=by(stranger)),
        lambda of: deployment.organizations.has_permissions(
            of.id, ["organization:read"], context=by(stranger)
        ),
        lambda of: deployment.organizations.activate(of.id, context=by(stranger)),
        lambda of: update(deployment, stranger, of, name="Mine"),
        lambda of: delete(deployment, stranger, of),
        lambda of: change_role(deployment, stranger, of, ada, "viewer"),
        lambda of: remove(deployment, stranger, of, ada),
        lambda of: deployment.members.leave(of.id, context=from_here(NOW).of(stranger)),
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
    assert await deployment.role_of(acme, ada) == "owner"


async def test_viewer_sees_the_organization_and_no_members(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    viewer = await deployment.member(acme, "vic", "viewer")
    member = await deployment.member(acme, "mel", "member")

    with pytest.raises(Forbidden):
        await deployment.members.list_members(acme.id, context=by(viewer))
    with pytest.raises(Forbidden):
        await deployment.members.get_member(acme.id, ada.user_id, context=by(viewer))
    assert (await deployment.members.get_member(acme.id, viewer.user_id, context=by(viewer))).role == "viewer"
    full = await deployment.organizations.get_full(acme.id, context=by(viewer))
    assert [each.user_id for each in full.members] == [viewer.user_id]
    assert {
        each.user_id for each in (await deployment.members.list_members(acme.id, context=by(member))).items
    } == {
        ada.user_id,
        viewer.user_id,
        member.user_id,
    }
    with pytest.raises(UnknownMember):
        await deployment.members.get_member(
            acme.id, (await deployment.person("eve")).user_id, context=by(member)
        )


async def test_permissions_are_asked_of_the_present_role(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    admin = await deployment.member(acme, "adm", "admin")
    may = deployment.organizations.has_permissions

    assert await may(acme.id, ["organization:delete", "invitation:create"], context=by(ada))
    assert await may(acme.id, ["organization:update", "invitation:create"], context=by(admin))
    assert not await may(acme.id, ["organization:update", "organization:delete"], context=by(admin))
    assert not await may(acme.id, [], context=by(ada))
    assert not await may(acme.id, ["spaceship:launch"], context=by(ada))


async def test_scoped_key_reads_its_own_organization_only(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme, other = await deployment.organization(ada, "Acme"), await deployment.organization(ada, "Other")
    foreign = await deployment.organization(bob, "Foreign")
    key = await deployment.api_key(ada, acme)
    machine = await deployment.runtime.authenticate.api_key(key.key, client=nowhere, now=NOW)

    assert [of.id for of, _ in (await deployment.organizations.list(machine)).items] == [acme.id]
    assert (await deployment.organizations.get(acme.id, context=by(machine))).organization == acme
    assert (await deployment.members.list_members(acme.id, context=by(machine))).total == 1
    for act in (
        deployment.organizations.get,
        deployment.organizations.get_full,
        deployment.members.list_members,
    ):
        with pytest.raises(OrganizationScopeMismatch):
            await act(other.id, context=by(machine))
        with pytest.raises(UnknownOrganization):
            await act(foreign.id, context=by(machine))


async def test_unscoped_key_reads_all_organizations_of_its_owner(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme, other = await deployment.organization(ada, "Acme"), await deployment.organization(ada, "Other")
    foreign = await deployment.organization(bob, "Foreign")
    machine = await deployment.runtime.authenticate.api_key(
        (await deployment.api_key(ada)).key, client=nowhere, now=NOW
    )

    assert {of.id for of, _ in (await deployment.organizations.list(machine)).items} == {acme.id, other.id}
    assert (await deployment.organizations.get(other.id, context=by(machine))).member.role == "owner"
    with pytest.raises(UnknownOrganization):
        await deployment.organizations.get(foreign.id, context=by(machine))


# --- changing --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
async def test_owners_and_admins_change_and_only_owners_delete(deployment: Deployment, role: str) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    someone = await deployment.member(acme, "someone", role)

    renamed = await outcome(update(deployment, someone, acme, name="Renamed"))
    deleted = await outcome(delete(deployment, someone, acme))

    assert renamed == ("done" if role in ("admin", "owner") else "Forbidden")
    assert deleted == ("done" if role == "owner" else "Forbidden")


async def test_only_what_was_sent_is_changed(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    new = NewOrganization(name="Acme", slug="acme", logo="https://example.com/a.svg", metadata={"a": 1})
    acme = (await deployment.organizations.create(new, context=from_here(NOW).of(ada))).organization

    await update(deployment, ada, acme, name="Acme 2")
    assert (await deployment.organizations.get(acme.id, context=by(ada))).organization == replace(
        acme, name="Acme 2"
    )
    await update(deployment, ada, acme, logo=None, metadata=None, slug="acme-2")
    assert (await deployment.organizations.get(acme.id, context=by(ada))).organization == replace(
        acme, name="Acme 2", slug="acme-2", logo=None, metadata=None
    )
    await update(deployment, ada, acme)
    await update(deployment, ada, acme, slug="acme-2")
    changed = [record.audit_event.details["changed"] for record in await deployment.audit("auth.org.updated")]
    assert changed == [["name"], ["logo", "metadata", "slug"]]


@pytest.mark.parametrize("values", [{"name": " "}, {"name": None}, {"slug": None}, {"slug": "Not A Slug"}])
async def test_odd_changes_are_refused(migrated_sqlite_url: str, values: dict[str, object]) -> None:
    async with open_deployment(migrated_sqlite_url) as deployment:
        ada = await deployment.person("ada")
        acme = await deployment.organization(ada)
        with pytest.raises(ValidationFailed):
            await update(deployment, ada, acme, **values)


async def test_slug_of_another_organization_cannot_be_taken(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme, other = await deployment.organization(ada, "Acme"), await deployment.organization(ada, "Other")

    with pytest.raises(SlugTaken):
        await update(deployment, ada, acme, slug=other.slug, name="Renamed")

    assert (await deployment.organizations.get(acme.id, context=by(ada))).organization == acme


async def test_deletion_ends_what_leaned_on_the_organization(deployment: Deployment) -> None:
    ada_token = await deployment.sign_in(await deployment.user("ada"))
    ada = await deployment.proved(ada_token)
    acme = await deployment.organization(ada)
    admin = await deployment.member(acme, "adm", "admin")
    keys = [await deployment.api_key(ada, acme), await deployment.api_key(admin, acme)]
    untouched = await deployment.api_key(ada)
    await deployment.organizations.activate(acme.id, context=by(ada))

    await delete(deployment, ada, acme)

    assert [key.id for key in await deployment.live_keys(ada)] == [untouched.api_key.id]
    assert await deployment.live_keys(admin) == []
    revoked = await deployment.events(types.API_KEY_REVOKED)
    assert {event.data["apiKeyId"] for event in revoked} == {key.api_key.id for key in keys}
    removed = await deployment.events(types.MEMBER_REMOVED)
    assert {event.user_id for event in removed} == {ada.user_id, admin.user_id}
    assert {event.data["reason"] for event in removed} == {"organization_deleted"}
    assert [record.audit_event.organization_id for record in await deployment.audit("auth.org.deleted")] == [
        acme.id
    ]
    session, _ = await deployment.runtime.manage_sessions.current(await deployment.proved(ada_token))
    assert session.organization_id is None
    with pytest.raises(UnknownOrganization):
        await delete(deployment, ada, acme)


async def test_active_organization_is_one_of_the_users_own(deployment: Deployment) -> None:
    token = await deployment.sign_in(await deployment.user("ada"))
    ada = await deployment.proved(token)
    acme = await deployment.organization(ada)

    await deployment.organizations.activate(acme.id, context=by(ada))
    assert (await deployment.proved(token)).organization_id == acme.id
    await deployment.organizations.deactivate(ada)
    assert (await deployment.proved(token)).organization_id is None
