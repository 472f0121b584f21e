"""Invitations that are answered: who accepts or rejects them, when they die, and races between both sides."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    EmailNotVerified,
    InvitationNotFound,
    MemberLimitReached,
    NotTheRecipient,
)
from czo_auth.core.events import types
from czo_auth.core.flows.organizations import received_invitations as received_module
from czo_auth.core.ids import new_id
from tests.core.flows.deployment import NOW, Deployment, open_deployment, outcome
from tests.core.flows.organizations.acting import (
    ROUNDS,
    accept,
    accept_by_id,
    cancel,
    invite,
    reject,
    remove,
)
from tests.support.users import from_here

LIFETIME = timedelta(hours=48)
MILLISECOND = timedelta(milliseconds=1)


# --- accepting -------------------------------------------------------------------------------------------------------
async def test_accepting_makes_a_member_once(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    token = await deployment.sign_in(await deployment.user("bob"))
    bob = await deployment.proved(token)
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme, role="admin")

    accepted = await accept(deployment, bob, sent.token)

    assert accepted.invitation.status == "accepted"
    assert accepted.membership.organization == acme
    assert (accepted.membership.member.user_id, accepted.membership.member.role) == (bob.user_id, "admin")
    assert await deployment.role_of(acme, bob) == "admin"
    assert (await deployment.proved(token)).organization_id is None
    event = (await deployment.events(types.MEMBER_ADDED))[-1]
    assert (event.user_id, event.data["organizationId"], event.data["role"]) == (
        bob.user_id,
        acme.id,
        "admin",
    )
    with pytest.raises(InvitationNotFound):
        await accept(deployment, bob, sent.token)
    await remove(deployment, ada, acme, bob)
    with pytest.raises(InvitationNotFound):
        await accept(deployment, bob, sent.token)
    with pytest.raises(InvitationNotFound):
        await accept_by_id(deployment, bob, sent.invitation.id)


async def test_accepting_by_id_activates_the_organization(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    token = await deployment.sign_in(await deployment.user("bob", email_verified=True))
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    await accept_by_id(deployment, await deployment.proved(token), sent.invitation.id)

    assert (await deployment.proved(token)).organization_id == acme.id


async def test_only_the_invited_address_may_answer(deployment: Deployment) -> None:
    ada, eve = await deployment.person("ada"), await deployment.person("eve")
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    with pytest.raises(NotTheRecipient):
        await accept(deployment, eve, sent.token)
    with pytest.raises(NotTheRecipient):
        await accept_by_id(deployment, eve, sent.invitation.id)
    with pytest.raises(NotTheRecipient):
        await reject(deployment, eve, sent.invitation.id)
    with pytest.raises(NotTheRecipient):
        await deployment.received_invitations.get(sent.invitation.id, context=Context(now=NOW).of(eve))

    assert await deployment.role_of(acme, eve) is None
    await accept(deployment, await deployment.person("bob"), sent.token)


@pytest.mark.parametrize(
    ("invited", "own"),
    [("Bob@Example.COM", "bob@example.com"), ("bob@bücher.example", "BOB@xn--bcher-kva.example")],
)
async def test_addresses_are_compared_in_their_canonical_form(
    deployment: Deployment, invited: str, own: str
) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob", email=own)
    acme = await deployment.organization(ada)

    await accept(deployment, bob, (await invite(deployment, ada, acme, invited)).token)

    assert await deployment.role_of(acme, bob) == "member"


async def test_invitation_is_valid_for_48_hours(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    with pytest.raises(InvitationNotFound):
        await accept(deployment, bob, sent.token, now=NOW + LIFETIME)
    with pytest.raises(InvitationNotFound):
        await deployment.received_invitations.get(
            sent.invitation.id, context=Context(now=NOW + LIFETIME).of(bob)
        )
    await accept(deployment, bob, sent.token, now=NOW + LIFETIME - MILLISECOND)


@pytest.mark.parametrize(
    "token", ["", "czi_", "czi_" + "A" * 43, "czi_" + "A" * 42 + "B", "czc_" + "A" * 43, "czi_" + "é" * 43]
)
async def test_odd_and_unknown_tokens_get_one_answer(migrated_sqlite_url: str, token: str) -> None:
    async with open_deployment(migrated_sqlite_url) as deployment:
        with pytest.raises(InvitationNotFound):
            await accept(deployment, await deployment.person("bob"), token)


@pytest.mark.parametrize("fate", ["banned", "removed", "demoted", "outranked"])
async def test_invitation_ends_when_its_inviter_loses_the_right_to_send_it(
    deployment: Deployment, fate: str
) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob", email_verified=True)
    acme = await deployment.organization(ada)
    inviter = await deployment.member(acme, "inv", "owner")
    sent = await invite(deployment, inviter, acme, role="owner")
    await deployment.received_invitations.get(sent.invitation.id, context=Context(now=NOW).of(bob))

    if fate == "banned":
        await deployment.ban(inviter)
    elif fate == "removed":
        await remove(deployment, ada, acme, inviter)
    else:
        await deployment.join(acme, inviter, "member" if fate == "demoted" else "admin")

    for act in (
        accept(deployment, bob, sent.token),
        accept_by_id(deployment, bob, sent.invitation.id),
        reject(deployment, bob, sent.invitation.id),
        deployment.received_invitations.get(sent.invitation.id, context=Context(now=NOW).of(bob)),
    ):
        assert await outcome(act) == InvitationNotFound.__name__
    assert await deployment.received_invitations.list_for(context=Context(now=NOW).of(bob)) == []
    assert await deployment.role_of(acme, bob) is None

    again = await invite(deployment, ada, acme, role="owner")
    await accept(deployment, bob, again.token)


async def test_invitation_ends_with_the_organization(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    await deployment.organizations.delete(acme.id, context=from_here(NOW).of(ada))

    with pytest.raises(InvitationNotFound):
        await accept(deployment, bob, sent.token)


async def test_full_organization_takes_nobody_in_and_spends_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    monkeypatch.setattr(received_module, "MAX_MEMBERS", 1)
    with pytest.raises(MemberLimitReached):
        await accept(deployment, bob, sent.token)

    monkeypatch.undo()
    await accept(deployment, bob, sent.token)


@pytest.mark.each_database
async def test_token_presented_twice_at_once_is_accepted_once(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada, bob = await first.person("ada", email_verified=True), await first.person("bob")

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        sent = await invite(first, ada, acme)
        outcomes = await asyncio.gather(
            outcome(accept(first, bob, sent.token)), outcome(accept(second, bob, sent.token))
        )
        assert sorted(outcomes) == [InvitationNotFound.__name__, "done"]


@pytest.mark.each_database
async def test_invitation_is_either_withdrawn_or_accepted(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada, bob = await first.person("ada", email_verified=True), await first.person("bob")

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        sent = await invite(first, ada, acme)
        accepted, withdrawn = await asyncio.gather(
            outcome(accept(first, bob, sent.token)), outcome(cancel(second, ada, sent.invitation.id))
        )
        assert [accepted, withdrawn].count("done") == 1
        assert (await first.role_of(acme, bob) is not None) == (accepted == "done")


@pytest.mark.each_database
async def test_nobody_comes_in_after_their_inviter_is_gone(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada, bob = await first.person("ada", email_verified=True), await first.person("bob")
    inviter = await first.person("inv", email_verified=True)

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        await first.join(acme, inviter, "admin")
        sent = await invite(first, inviter, acme)
        accepted, _removed = await asyncio.gather(
            outcome(accept(first, bob, sent.token)), outcome(remove(second, ada, acme, inviter))
        )
        here = [
            (event.type, event.user_id)
            for event in await first.events(types.MEMBER_ADDED, types.MEMBER_REMOVED)
            if event.data["organizationId"] == acme.id and event.user_id != ada.user_id
        ]
        came, went = (types.MEMBER_ADDED, bob.user_id), (types.MEMBER_REMOVED, inviter.user_id)
        assert here == ([came, went] if accepted == "done" else [went])


# --- for the invited -------------------------------------------------------------------------------------------------
async def test_invited_person_sees_who_invites_where(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob", email_verified=True)
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    received = await deployment.received_invitations.get(sent.invitation.id, context=Context(now=NOW).of(bob))

    assert received.invitation == sent.invitation
    assert received.organization == acme
    assert received.inviter.user_id == ada.user_id
    for invitation_id in (new_id(NOW), "not-an-id"):
        with pytest.raises(InvitationNotFound):
            await deployment.received_invitations.get(invitation_id, context=Context(now=NOW).of(bob))


async def test_rejected_invitation_is_dead(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    assert (await reject(deployment, bob, sent.invitation.id)).status == "rejected"

    for act in (accept(deployment, bob, sent.token), reject(deployment, bob, sent.invitation.id)):
        assert await outcome(act) == InvitationNotFound.__name__
    (record,) = await deployment.audit("auth.org.invitation_rejected")
    assert record.audit_event.user_id == bob.user_id
    await invite(deployment, ada, acme)


async def test_user_with_an_unconfirmed_address_cannot_list_its_invitations(
    deployment: Deployment,
) -> None:
    ada = await deployment.person("ada")
    squatter = await deployment.person("bob", email="bob@example.com")
    carol = await deployment.person("carol", email_verified=True)
    acme = await deployment.organization(ada)
    await invite(deployment, ada, acme)
    sent = await invite(deployment, ada, acme, "carol@example.com")

    with pytest.raises(EmailNotVerified):
        await deployment.received_invitations.list_for(context=Context(now=NOW).of(squatter))
    (received,) = await deployment.received_invitations.list_for(context=Context(now=NOW).of(carol))
    assert received.invitation == sent.invitation
    assert await deployment.received_invitations.list_for(context=Context(now=NOW + LIFETIME).of(carol)) == []
