from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import product

import pytest

from czo_auth.core.errors import (
    AlreadyInvited,
    AlreadyMember,
    Forbidden,
    InvitationLimitReached,
    InvitationNotFound,
    Refusal,
    RoleAboveOwn,
    UnknownInvitation,
    UnknownOrganization,
    UnknownRole,
    ValidationFailed,
)
from czo_auth.core.flows.organizations import invitations as invitations_module
from czo_auth.core.flows.organizations.invitations import NewInvitation
from czo_auth.core.ids import new_id
from czo_auth.crypto import tokens
from tests.core.flows.deployment import NOW, Deployment, open_deployment, outcome
from tests.core.flows.organizations.acting import (
    ROLES,
    ROUNDS,
    accept,
    accept_by_id,
    by,
    cancel,
    invite,
)
from tests.delivery.waiting import until
from tests.support.users import from_here

LIFETIME = timedelta(hours=48)
MILLISECOND = timedelta(milliseconds=1)


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
    await until(lambda: deployment.mailbox.messages)
    (message,) = deployment.mailbox.messages
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


async def test_outsider_cannot_tell_whether_an_organization_exists(deployment: Deployment) -> None:
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
        assert deployment.mailbox.messages == []


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
