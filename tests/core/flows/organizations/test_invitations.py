from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from itertools import product

import pytest

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    AlreadyInvited,
    AlreadyMember,
    EmailNotVerified,
    Forbidden,
    InvitationLimitReached,
    InvitationNotFound,
    MemberLimitReached,
    NotTheRecipient,
    Refusal,
    RoleAboveOwn,
    UnknownInvitation,
    UnknownOrganization,
    UnknownRole,
    ValidationFailed,
)
from czo_auth.core.events import types
from czo_auth.core.flows.organizations import invitations as invitations_module
from czo_auth.core.flows.organizations import received_invitations as received_module
from czo_auth.core.flows.organizations.invitations import NewInvitation, SentInvitation
from czo_auth.core.flows.organizations.received_invitations import AcceptedInvitation
from czo_auth.core.ids import new_id
from czo_auth.core.organizations.organization import Invitation, Organization
from czo_auth.core.principal import Principal
from czo_auth.crypto import tokens
from tests.core.flows.deployment import NOW, Deployment, from_here, open_deployment, outcome
from tests.delivery.waiting import until

ROLES = ("viewer", "member", "admin", "owner")
LIFETIME = timedelta(hours=48)
MILLISECOND = timedelta(milliseconds=1)
ROUNDS = 12


def by(principal: Principal) -> Context:
    return Context(now=NOW).of(principal)


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


def remove(
    deployment: Deployment, by: Principal, organization: Organization, of: Principal
) -> Awaitable[object]:
    return deployment.members.remove_member(organization.id, of.user_id, context=from_here(NOW).of(by))


# --- inviting --------------------------------------------------------------------------------------------------------
async def test_token_goes_into_the_answer_and_the_mail_and_nowhere_else(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)

    sent = await invite(deployment, ada, acme, "  Bob@EXAMPLE.com ", "admin")

    assert tokens.is_well_formed(sent.token, tokens.INVITATION)
    assert sent.token not in repr(sent)
    assert sent.invitation.email == "bob@example.com"
    assert (sent.invitation.role, sent.invitation.status) == ("admin", "pending")
    assert sent.invitation.expires_at == NOW + LIFETIME
    await until(lambda: deployment.postbox.messages)
    (message,) = deployment.postbox.messages
    assert (message.to, message.token) == ("Bob@example.com", sent.token)
    assert "Acme" in message.text
    assert "ada" in message.text
    (record,) = await deployment.audit("auth.org.invited")
    assert record.audit_event.user_id == ada.user_id
    assert record.audit_event.details == {"invitationId": sent.invitation.id, "role": "admin"}
    assert not any(sent.token in repr(each) for each in await deployment.audit())
    kept = await deployment.transactions.read(
        lambda tx: tx.organizations.find_invitation_by_digest(tokens.digest(sent.token))
    )
    assert kept == sent.invitation


async def test_nobody_invites_above_their_own_role(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    actor = await deployment.person("actor")

    for own, role in product(ROLES, ROLES):
        await deployment.join(acme, actor, own)
        seen = await outcome(invite(deployment, actor, acme, f"{own}-{role}@example.com", role))
        if own not in ("admin", "owner"):
            assert seen == Forbidden.__name__, (own, role)
        elif own == "admin" and role == "owner":
            assert seen == RoleAboveOwn.__name__
        else:
            assert seen == "done", (own, role)


async def test_stranger_cannot_tell_an_organization_from_none(deployment: Deployment) -> None:
    ada, eve = await deployment.person("ada"), await deployment.person("eve")
    acme = await deployment.organization(ada)
    sent = await invite(deployment, ada, acme)

    for organization_id in (acme.id, new_id(NOW), "not-an-id"):
        with pytest.raises(UnknownOrganization):
            await deployment.invitations.invite(
                organization_id,
                NewInvitation(email="x@example.com", role="member"),
                context=from_here(NOW).of(eve),
            )
        with pytest.raises(UnknownOrganization):
            await deployment.invitations.list(organization_id, context=by(eve))
        with pytest.raises(UnknownOrganization):
            await deployment.invitations.cancel(
                sent.invitation.id, organization_id=organization_id, context=from_here(NOW).of(eve)
            )
    for invitation_id in (sent.invitation.id, new_id(NOW), "not-an-id"):
        with pytest.raises(UnknownInvitation):
            await cancel(deployment, eve, invitation_id)


@pytest.mark.parametrize(
    ("email", "role", "refusal"),
    [
        ("nobody", "member", ValidationFailed),
        ("a@b.example\r\nBcc: c@d.example", "member", ValidationFailed),
        ("bob@example.com", "root", UnknownRole),
        ("bob@example.com", "", UnknownRole),
    ],
)
async def test_odd_invitations_are_refused(
    migrated_sqlite_url: str, email: str, role: str, refusal: type[Refusal]
) -> None:
    async with open_deployment(migrated_sqlite_url) as deployment:
        ada = await deployment.person("ada")
        acme = await deployment.organization(ada)
        with pytest.raises(refusal):
            await invite(deployment, ada, acme, email, role)
        assert deployment.postbox.messages == []


async def test_member_and_invited_address_are_not_invited_again(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme, other = await deployment.organization(ada, "Acme"), await deployment.organization(ada, "Other")
    await deployment.member(acme, "mel", "viewer")
    await invite(deployment, ada, acme)

    with pytest.raises(AlreadyMember):
        await invite(deployment, ada, acme, "Mel@example.com")
    with pytest.raises(AlreadyInvited):
        await invite(deployment, ada, acme, "BOB@example.com")
    await invite(deployment, ada, other)
    await invite(deployment, ada, acme, now=NOW + LIFETIME)


async def test_resent_invitation_replaces_the_one_before(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme = await deployment.organization(ada)
    first = await invite(deployment, ada, acme, role="viewer")

    second = await invite(deployment, ada, acme, role="admin", resends=True)

    with pytest.raises(InvitationNotFound):
        await accept(deployment, bob, first.token)
    assert (await accept(deployment, bob, second.token)).membership.member.role == "admin"
    assert len(await deployment.audit("auth.org.invitation_canceled")) == 1


async def test_admin_cannot_replace_the_invitation_of_an_owner_to_be(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    admin = await deployment.member(acme, "adm", "admin")
    sent = await invite(deployment, ada, acme, role="owner")

    with pytest.raises(RoleAboveOwn):
        await invite(deployment, admin, acme, role="viewer", resends=True)

    assert (await deployment.invitations.list(acme.id, context=by(ada))).items == [sent.invitation]


async def test_open_invitations_are_bounded(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations_module, "MAX_PENDING_INVITATIONS", 2)
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    first = await invite(deployment, ada, acme, "one@example.com")
    await invite(deployment, ada, acme, "two@example.com")

    with pytest.raises(InvitationLimitReached):
        await invite(deployment, ada, acme, "three@example.com")
    await invite(deployment, ada, acme, "two@example.com", resends=True)
    await cancel(deployment, ada, first.invitation.id)
    await invite(deployment, ada, acme, "three@example.com")


@pytest.mark.each_database
async def test_two_invitations_of_one_address_at_once_leave_one(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, second = two_deployments
    ada = await first.person("ada", email_verified=True)
    acme = await first.organization(ada)

    for number in range(ROUNDS):
        email = f"guest-{number}@example.com"
        outcomes = await asyncio.gather(
            outcome(invite(first, ada, acme, email)), outcome(invite(second, ada, acme, email))
        )
        assert sorted(outcomes) == [AlreadyInvited.__name__, "done"]


# --- listing and withdrawing -----------------------------------------------------------------------------------------
async def test_invitations_are_listed_to_those_who_may_send_them(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    admin = await deployment.member(acme, "adm", "admin")
    member = await deployment.member(acme, "mel", "member")
    lower = await invite(deployment, ada, acme, "low@example.com", "admin")
    upper = await invite(deployment, ada, acme, "high@example.com", "owner", now=NOW + MILLISECOND)

    assert (await deployment.invitations.list(acme.id, context=by(ada))).items == [
        upper.invitation,
        lower.invitation,
    ]
    assert (await deployment.invitations.list(acme.id, context=by(admin))).items == [lower.invitation]
    assert (await deployment.organizations.get_full(acme.id, context=by(admin))).invitations == [
        lower.invitation
    ]
    assert (await deployment.organizations.get_full(acme.id, context=by(member))).invitations == []
    with pytest.raises(Forbidden):
        await deployment.invitations.list(acme.id, context=by(member))


async def test_withdrawn_invitation_is_dead_and_is_withdrawn_once(deployment: Deployment) -> None:
    ada, bob = await deployment.person("ada"), await deployment.person("bob")
    acme, other = await deployment.organization(ada, "Acme"), await deployment.organization(ada, "Other")
    sent = await invite(deployment, ada, acme)

    with pytest.raises(UnknownInvitation):
        await cancel(deployment, ada, sent.invitation.id, other)
    assert (await cancel(deployment, ada, sent.invitation.id, acme)).status == "canceled"

    with pytest.raises(InvitationNotFound):
        await accept(deployment, bob, sent.token)
    with pytest.raises(InvitationNotFound):
        await accept_by_id(deployment, bob, sent.invitation.id)
    with pytest.raises(UnknownInvitation):
        await cancel(deployment, ada, sent.invitation.id, acme)
    assert [each.status for each in (await deployment.invitations.list(acme.id, context=by(ada))).items] == [
        "canceled"
    ]


async def test_only_those_who_may_withdraw_do(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    acme = await deployment.organization(ada)
    admin = await deployment.member(acme, "adm", "admin")
    member = await deployment.member(acme, "mel", "member")
    lower = await invite(deployment, ada, acme, "low@example.com", "admin")
    upper = await invite(deployment, ada, acme, "high@example.com", "owner")

    for invitation in (lower.invitation, upper.invitation):
        with pytest.raises(Forbidden):
            await cancel(deployment, member, invitation.id, acme)
    with pytest.raises(UnknownInvitation):
        await cancel(deployment, admin, upper.invitation.id, acme)
    await cancel(deployment, admin, lower.invitation.id, acme)
    await cancel(deployment, ada, upper.invitation.id)


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


async def test_invitation_lives_48_hours(deployment: Deployment) -> None:
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
async def test_invitation_dies_with_its_inviters_right_to_send_it(deployment: Deployment, fate: str) -> None:
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


async def test_invitation_dies_with_the_organization(deployment: Deployment) -> None:
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
