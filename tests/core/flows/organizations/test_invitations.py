from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from itertools import product

import pytest

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
from czo_auth.core.flows.organizations.invitations import AcceptedInvitation, NewInvitation, SentInvitation
from czo_auth.core.ids import new_id
from czo_auth.core.organizations.organization import Invitation, Organization
from czo_auth.core.principal import Principal
from czo_auth.crypto import tokens
from tests.core.flows.deployment import FROM_HERE, NOW, Town, open_town, outcome
from tests.delivery.waiting import until

ROLES = ("viewer", "member", "admin", "owner")
LIFETIME = timedelta(hours=48)
MILLISECOND = timedelta(milliseconds=1)
ROUNDS = 12


def invite(
    town: Town,
    by: Principal,
    organization: Organization,
    email: str = "bob@example.com",
    role: str = "member",
    *,
    resends: bool = False,
    now: datetime = NOW,
) -> Awaitable[SentInvitation]:
    new = NewInvitation(email=email, role=role, resends=resends)
    return town.invitations.invite(by, organization.id, new, provenance=FROM_HERE, now=now)


def accept(town: Town, by: Principal, token: str, *, now: datetime = NOW) -> Awaitable[AcceptedInvitation]:
    return town.invitations.accept_by_token(by, token, provenance=FROM_HERE, now=now)


def accept_by_id(town: Town, by: Principal, invitation_id: str) -> Awaitable[AcceptedInvitation]:
    return town.invitations.accept_by_id(by, invitation_id, provenance=FROM_HERE, now=NOW)


def reject(town: Town, by: Principal, invitation_id: str) -> Awaitable[Invitation]:
    return town.invitations.reject(by, invitation_id, provenance=FROM_HERE, now=NOW)


def cancel(
    town: Town, by: Principal, invitation_id: str, organization: Organization | None = None
) -> Awaitable[Invitation]:
    return town.invitations.cancel(
        by,
        invitation_id,
        organization_id=organization.id if organization else None,
        provenance=FROM_HERE,
        now=NOW,
    )


def remove(town: Town, by: Principal, organization: Organization, of: Principal) -> Awaitable[object]:
    return town.organizations.remove_member(by, organization.id, of.user_id, provenance=FROM_HERE, now=NOW)


# --- inviting --------------------------------------------------------------------------------------------------------
async def test_token_goes_into_the_answer_and_the_mail_and_nowhere_else(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)

    sent = await invite(town, ada, acme, "  Bob@EXAMPLE.com ", "admin")

    assert tokens.is_well_formed(sent.token, tokens.INVITATION)
    assert sent.token not in repr(sent)
    assert sent.invitation.email == "bob@example.com"
    assert (sent.invitation.role, sent.invitation.status) == ("admin", "pending")
    assert sent.invitation.expires_at == NOW + LIFETIME
    await until(lambda: town.postbox.messages)
    (message,) = town.postbox.messages
    assert (message.to, message.token) == ("bob@example.com", sent.token)
    assert "Acme" in message.text
    assert "ada" in message.text
    (record,) = await town.audit("auth.org.invited")
    assert record.fact.user_id == ada.user_id
    assert record.fact.details == {"invitationId": sent.invitation.id, "role": "admin"}
    assert not any(sent.token in repr(each) for each in await town.audit())
    kept = await town.transactions.read(
        lambda tx: tx.organizations.find_invitation_by_digest(tokens.digest(sent.token))
    )
    assert kept == sent.invitation


async def test_nobody_invites_above_their_own_role(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    actor = await town.person("actor")

    for own, role in product(ROLES, ROLES):
        await town.join(acme, actor, own)
        seen = await outcome(invite(town, actor, acme, f"{own}-{role}@example.com", role))
        if own not in ("admin", "owner"):
            assert seen == Forbidden.__name__, (own, role)
        elif own == "admin" and role == "owner":
            assert seen == RoleAboveOwn.__name__
        else:
            assert seen == "done", (own, role)


async def test_stranger_cannot_tell_an_organization_from_none(town: Town) -> None:
    ada, eve = await town.person("ada"), await town.person("eve")
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    for organization_id in (acme.id, new_id(NOW), "not-an-id"):
        with pytest.raises(UnknownOrganization):
            await town.invitations.invite(
                eve,
                organization_id,
                NewInvitation(email="x@example.com", role="member"),
                provenance=FROM_HERE,
                now=NOW,
            )
        with pytest.raises(UnknownOrganization):
            await town.invitations.list(eve, organization_id)
        with pytest.raises(UnknownOrganization):
            await town.invitations.cancel(
                eve, sent.invitation.id, organization_id=organization_id, provenance=FROM_HERE, now=NOW
            )
    for invitation_id in (sent.invitation.id, new_id(NOW), "not-an-id"):
        with pytest.raises(UnknownInvitation):
            await cancel(town, eve, invitation_id)


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
    async with open_town(migrated_sqlite_url) as town:
        ada = await town.person("ada")
        acme = await town.organization(ada)
        with pytest.raises(refusal):
            await invite(town, ada, acme, email, role)
        assert town.postbox.messages == []


async def test_member_and_invited_address_are_not_invited_again(town: Town) -> None:
    ada = await town.person("ada")
    acme, other = await town.organization(ada, "Acme"), await town.organization(ada, "Other")
    await town.member(acme, "mel", "viewer")
    await invite(town, ada, acme)

    with pytest.raises(AlreadyMember):
        await invite(town, ada, acme, "Mel@example.com")
    with pytest.raises(AlreadyInvited):
        await invite(town, ada, acme, "BOB@example.com")
    await invite(town, ada, other)
    await invite(town, ada, acme, now=NOW + LIFETIME)


async def test_resent_invitation_replaces_the_one_before(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme = await town.organization(ada)
    first = await invite(town, ada, acme, role="viewer")

    second = await invite(town, ada, acme, role="admin", resends=True)

    with pytest.raises(InvitationNotFound):
        await accept(town, bob, first.token)
    assert (await accept(town, bob, second.token)).membership.member.role == "admin"
    assert len(await town.audit("auth.org.invitation_canceled")) == 1


async def test_admin_cannot_replace_the_invitation_of_an_owner_to_be(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    admin = await town.member(acme, "adm", "admin")
    sent = await invite(town, ada, acme, role="owner")

    with pytest.raises(RoleAboveOwn):
        await invite(town, admin, acme, role="viewer", resends=True)

    assert await town.invitations.list(ada, acme.id) == [sent.invitation]


async def test_open_invitations_are_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations_module, "MOST_PENDING", 2)
    ada = await town.person("ada")
    acme = await town.organization(ada)
    first = await invite(town, ada, acme, "one@example.com")
    await invite(town, ada, acme, "two@example.com")

    with pytest.raises(InvitationLimitReached):
        await invite(town, ada, acme, "three@example.com")
    await invite(town, ada, acme, "two@example.com", resends=True)
    await cancel(town, ada, first.invitation.id)
    await invite(town, ada, acme, "three@example.com")


async def test_two_invitations_of_one_address_at_once_leave_one(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
    ada = await first.person("ada")
    acme = await first.organization(ada)

    for number in range(ROUNDS):
        email = f"guest-{number}@example.com"
        outcomes = await asyncio.gather(
            outcome(invite(first, ada, acme, email)), outcome(invite(second, ada, acme, email))
        )
        assert sorted(outcomes) == [AlreadyInvited.__name__, "done"]


# --- listing and withdrawing -----------------------------------------------------------------------------------------
async def test_invitations_are_listed_to_those_who_may_send_them(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    admin = await town.member(acme, "adm", "admin")
    member = await town.member(acme, "mel", "member")
    lower = await invite(town, ada, acme, "low@example.com", "admin")
    upper = await invite(town, ada, acme, "high@example.com", "owner", now=NOW + MILLISECOND)

    assert await town.invitations.list(ada, acme.id) == [upper.invitation, lower.invitation]
    assert await town.invitations.list(admin, acme.id) == [lower.invitation]
    assert (await town.organizations.get_full(admin, acme.id)).invitations == [lower.invitation]
    assert (await town.organizations.get_full(member, acme.id)).invitations == []
    with pytest.raises(Forbidden):
        await town.invitations.list(member, acme.id)


async def test_withdrawn_invitation_is_dead_and_is_withdrawn_once(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme, other = await town.organization(ada, "Acme"), await town.organization(ada, "Other")
    sent = await invite(town, ada, acme)

    with pytest.raises(UnknownInvitation):
        await cancel(town, ada, sent.invitation.id, other)
    assert (await cancel(town, ada, sent.invitation.id, acme)).status == "canceled"

    with pytest.raises(InvitationNotFound):
        await accept(town, bob, sent.token)
    with pytest.raises(InvitationNotFound):
        await accept_by_id(town, bob, sent.invitation.id)
    with pytest.raises(UnknownInvitation):
        await cancel(town, ada, sent.invitation.id, acme)
    assert [each.status for each in await town.invitations.list(ada, acme.id)] == ["canceled"]


async def test_only_those_who_may_withdraw_do(town: Town) -> None:
    ada = await town.person("ada")
    acme = await town.organization(ada)
    admin = await town.member(acme, "adm", "admin")
    member = await town.member(acme, "mel", "member")
    lower = await invite(town, ada, acme, "low@example.com", "admin")
    upper = await invite(town, ada, acme, "high@example.com", "owner")

    for invitation in (lower.invitation, upper.invitation):
        with pytest.raises(Forbidden):
            await cancel(town, member, invitation.id, acme)
    with pytest.raises(UnknownInvitation):
        await cancel(town, admin, upper.invitation.id, acme)
    await cancel(town, admin, lower.invitation.id, acme)
    await cancel(town, ada, upper.invitation.id)


# --- accepting -------------------------------------------------------------------------------------------------------
async def test_accepting_makes_a_member_once(town: Town) -> None:
    ada = await town.person("ada")
    token = await town.sign_in(await town.user("bob"))
    bob = await town.proved(token)
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme, role="admin")

    accepted = await accept(town, bob, sent.token)

    assert accepted.invitation.status == "accepted"
    assert accepted.membership.organization == acme
    assert (accepted.membership.member.user_id, accepted.membership.member.role) == (bob.user_id, "admin")
    assert await town.role_of(acme, bob) == "admin"
    assert (await town.proved(token)).organization_id is None
    event = (await town.events(types.MEMBER_ADDED))[-1]
    assert (event.user_id, event.data["organizationId"], event.data["role"]) == (
        bob.user_id,
        acme.id,
        "admin",
    )
    with pytest.raises(InvitationNotFound):
        await accept(town, bob, sent.token)
    await remove(town, ada, acme, bob)
    with pytest.raises(InvitationNotFound):
        await accept(town, bob, sent.token)
    with pytest.raises(InvitationNotFound):
        await accept_by_id(town, bob, sent.invitation.id)


async def test_accepting_by_id_activates_the_organization(town: Town) -> None:
    ada = await town.person("ada")
    token = await town.sign_in(await town.user("bob", email_verified=True))
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    await accept_by_id(town, await town.proved(token), sent.invitation.id)

    assert (await town.proved(token)).organization_id == acme.id


async def test_only_the_invited_address_may_answer(town: Town) -> None:
    ada, eve = await town.person("ada"), await town.person("eve")
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    with pytest.raises(NotTheRecipient):
        await accept(town, eve, sent.token)
    with pytest.raises(NotTheRecipient):
        await accept_by_id(town, eve, sent.invitation.id)
    with pytest.raises(NotTheRecipient):
        await reject(town, eve, sent.invitation.id)
    with pytest.raises(NotTheRecipient):
        await town.invitations.get(eve, sent.invitation.id, now=NOW)

    assert await town.role_of(acme, eve) is None
    await accept(town, await town.person("bob"), sent.token)


@pytest.mark.parametrize(
    ("invited", "own"),
    [("Bob@Example.COM", "bob@example.com"), ("bob@bücher.example", "BOB@xn--bcher-kva.example")],
)
async def test_addresses_are_compared_in_their_canonical_form(town: Town, invited: str, own: str) -> None:
    ada, bob = await town.person("ada"), await town.person("bob", email=own)
    acme = await town.organization(ada)

    await accept(town, bob, (await invite(town, ada, acme, invited)).token)

    assert await town.role_of(acme, bob) == "member"


async def test_invitation_lives_48_hours(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    with pytest.raises(InvitationNotFound):
        await accept(town, bob, sent.token, now=NOW + LIFETIME)
    with pytest.raises(InvitationNotFound):
        await town.invitations.get(bob, sent.invitation.id, now=NOW + LIFETIME)
    await accept(town, bob, sent.token, now=NOW + LIFETIME - MILLISECOND)


@pytest.mark.parametrize(
    "token", ["", "czi_", "czi_" + "A" * 43, "czi_" + "A" * 42 + "B", "czc_" + "A" * 43, "czi_" + "é" * 43]
)
async def test_odd_and_unknown_tokens_get_one_answer(migrated_sqlite_url: str, token: str) -> None:
    async with open_town(migrated_sqlite_url) as town:
        with pytest.raises(InvitationNotFound):
            await accept(town, await town.person("bob"), token)


@pytest.mark.parametrize("fate", ["banned", "removed", "demoted", "outranked"])
async def test_invitation_dies_with_its_inviters_right_to_send_it(town: Town, fate: str) -> None:
    ada, bob = await town.person("ada"), await town.person("bob", email_verified=True)
    acme = await town.organization(ada)
    inviter = await town.member(acme, "inv", "owner")
    sent = await invite(town, inviter, acme, role="owner")
    await town.invitations.get(bob, sent.invitation.id, now=NOW)

    if fate == "banned":
        await town.ban(inviter)
    elif fate == "removed":
        await remove(town, ada, acme, inviter)
    else:
        await town.join(acme, inviter, "member" if fate == "demoted" else "admin")

    for act in (
        accept(town, bob, sent.token),
        accept_by_id(town, bob, sent.invitation.id),
        reject(town, bob, sent.invitation.id),
        town.invitations.get(bob, sent.invitation.id, now=NOW),
    ):
        assert await outcome(act) == InvitationNotFound.__name__
    assert await town.invitations.list_for(bob, now=NOW) == []
    assert await town.role_of(acme, bob) is None

    again = await invite(town, ada, acme, role="owner")
    await accept(town, bob, again.token)


async def test_invitation_dies_with_the_organization(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    await town.organizations.delete(ada, acme.id, provenance=FROM_HERE, now=NOW)

    with pytest.raises(InvitationNotFound):
        await accept(town, bob, sent.token)


async def test_full_organization_takes_nobody_in_and_spends_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    monkeypatch.setattr(invitations_module, "MOST_MEMBERS", 1)
    with pytest.raises(MemberLimitReached):
        await accept(town, bob, sent.token)

    monkeypatch.undo()
    await accept(town, bob, sent.token)


async def test_token_presented_twice_at_once_is_accepted_once(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
    ada, bob = await first.person("ada"), await first.person("bob")

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        sent = await invite(first, ada, acme)
        outcomes = await asyncio.gather(
            outcome(accept(first, bob, sent.token)), outcome(accept(second, bob, sent.token))
        )
        assert sorted(outcomes) == [InvitationNotFound.__name__, "done"]


async def test_invitation_is_either_withdrawn_or_accepted(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
    ada, bob = await first.person("ada"), await first.person("bob")

    for _ in range(ROUNDS):
        acme = await first.organization(ada)
        sent = await invite(first, ada, acme)
        accepted, withdrawn = await asyncio.gather(
            outcome(accept(first, bob, sent.token)), outcome(cancel(second, ada, sent.invitation.id))
        )
        assert [accepted, withdrawn].count("done") == 1
        assert (await first.role_of(acme, bob) is not None) == (accepted == "done")


async def test_nobody_comes_in_after_their_inviter_is_gone(two_doors: tuple[Town, Town]) -> None:
    first, second = two_doors
    ada, bob = await first.person("ada"), await first.person("bob")
    inviter = await first.person("inv")

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
async def test_invited_person_sees_who_invites_where(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob", email_verified=True)
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    received = await town.invitations.get(bob, sent.invitation.id, now=NOW)

    assert received.invitation == sent.invitation
    assert received.organization == acme
    assert received.inviter.user_id == ada.user_id
    for invitation_id in (new_id(NOW), "not-an-id"):
        with pytest.raises(InvitationNotFound):
            await town.invitations.get(bob, invitation_id, now=NOW)


async def test_rejected_invitation_is_dead(town: Town) -> None:
    ada, bob = await town.person("ada"), await town.person("bob")
    acme = await town.organization(ada)
    sent = await invite(town, ada, acme)

    assert (await reject(town, bob, sent.invitation.id)).status == "rejected"

    for act in (accept(town, bob, sent.token), reject(town, bob, sent.invitation.id)):
        assert await outcome(act) == InvitationNotFound.__name__
    (record,) = await town.audit("auth.org.invitation_rejected")
    assert record.fact.user_id == bob.user_id
    await invite(town, ada, acme)


async def test_whoever_did_not_confirm_an_address_cannot_list_what_was_sent_there(town: Town) -> None:
    ada = await town.person("ada")
    squatter = await town.person("bob", email="bob@example.com")
    carol = await town.person("carol", email_verified=True)
    acme = await town.organization(ada)
    await invite(town, ada, acme)
    sent = await invite(town, ada, acme, "carol@example.com")

    with pytest.raises(EmailNotVerified):
        await town.invitations.list_for(squatter, now=NOW)
    (received,) = await town.invitations.list_for(carol, now=NOW)
    assert received.invitation == sent.invitation
    assert await town.invitations.list_for(carol, now=NOW + LIFETIME) == []
