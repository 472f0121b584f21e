"""What the port of the organizations promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from czo_auth.core.organizations.organization import InvitationStatus, Member, Organization
from czo_auth.core.organizations.roles import RANK
from czo_auth.core.transaction import Transaction
from tests.support.records import HOUR, NOW, SECOND, a_digest, an_id, an_organization
from tests.support.rows import Rows


def update(tx: Transaction, organization: Organization, *, slug: str) -> bool:
    return tx.organizations.update(
        replace(
            organization,
            name="New",
            slug=slug,
            logo="logo",
            metadata={"a": 1},
            updated_at=NOW + SECOND,
            api_key_max_days=90,
            api_key_unused_days=30,
        )
    )


async def test_organization_comes_back_as_kept(rows: Rows) -> None:
    acme = await rows.organization(logo="l", metadata={"b": 1, "a": [None]})
    assert await rows.run(lambda tx: tx.organizations.find(acme.id)) == acme
    assert await rows.run(lambda tx: tx.organizations.find_by_slug(acme.slug)) == acme
    assert await rows.run(lambda tx: tx.organizations.lock(acme.id)) == acme
    assert await rows.run(lambda tx: tx.organizations.find(an_id())) is None
    assert await rows.run(lambda tx: tx.organizations.find_by_slug("none")) is None
    assert await rows.run(lambda tx: tx.organizations.lock(an_id())) is None


async def test_slug_is_taken_once(rows: Rows) -> None:
    acme = await rows.organization()
    assert not await rows.run(lambda tx: tx.organizations.add(an_organization(slug=acme.slug)))
    other = await rows.organization()

    def both(tx: Transaction) -> tuple[bool, bool]:
        return update(tx, other, slug=acme.slug), update(tx, other, slug="free")

    assert await rows.run(both) == (False, True)
    assert await rows.run(lambda tx: tx.organizations.find(other.id)) == replace(
        other,
        name="New",
        slug="free",
        logo="logo",
        metadata={"a": 1},
        updated_at=NOW + SECOND,
        api_key_max_days=90,
        api_key_unused_days=30,
    )
    assert await rows.run(lambda tx: tx.organizations.list_unused_rules()) == [(other.id, 30)]
    assert await rows.run(lambda tx: tx.organizations.find(acme.id)) == acme
    assert await rows.run(lambda tx: update(tx, other, slug="free"))


async def test_deleted_organization_is_gone_with_members_and_invitations(rows: Rows) -> None:
    user = await rows.user()
    acme, other = await rows.organization({user: "owner"}), await rows.organization({user: "member"})
    digest = a_digest()
    invitation = await rows.invitation(acme, user, digest=digest)
    await rows.run(lambda tx: tx.organizations.delete(acme.id, now=NOW))
    assert await rows.run(lambda tx: tx.organizations.find(acme.id)) is None
    assert await rows.run(lambda tx: tx.organizations.find_member(acme.id, user.id)) is None
    assert await rows.run(lambda tx: tx.organizations.find_invitation(invitation.id)) is None
    assert await rows.run(lambda tx: tx.organizations.find_invitation_by_digest(digest)) is None
    assert await rows.run(lambda tx: tx.organizations.list_of(user.id, limit=9)) == [(other, "member")]
    await rows.organization(slug=acme.slug)


async def test_organizations_of_a_user_come_oldest_first(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    new = await rows.organization({user: "member"})
    old = await rows.organization({user: "owner"}, created_at=NOW - HOUR)
    await rows.organization({other: "owner"})
    assert await rows.run(lambda tx: tx.organizations.list_of(user.id, limit=9)) == [
        (old, "owner"),
        (new, "member"),
    ]


async def test_member_comes_with_name_and_address(rows: Rows) -> None:
    user, acme = await rows.user(name="Bea", image="i"), await rows.organization()
    member_id = await rows.member(acme, user, role="viewer")
    expected = Member(
        id=member_id,
        organization_id=acme.id,
        user_id=user.id,
        role="viewer",
        email=user.email,
        name="Bea",
        image="i",
        created_at=NOW,
    )
    assert await rows.run(lambda tx: tx.organizations.find_member(acme.id, user.id)) == expected
    assert await rows.run(lambda tx: tx.organizations.find_member_by_id(member_id)) == expected
    assert await rows.run(lambda tx: tx.organizations.list_members(acme.id, limit=9)) == [expected]
    assert await rows.run(lambda tx: tx.organizations.find_member(acme.id, an_id())) is None
    assert await rows.run(lambda tx: tx.organizations.find_member_by_id(an_id())) is None


async def test_user_is_a_member_once(rows: Rows) -> None:
    user = await rows.user()
    acme = await rows.organization({user: "owner"})
    again = await rows.run(
        lambda tx: tx.organizations.add_member(
            an_id(), organization_id=acme.id, user_id=user.id, role="viewer", now=NOW
        )
    )
    assert not again
    found = await rows.run(lambda tx: tx.organizations.find_member(acme.id, user.id))
    assert found is not None
    assert found.role == "owner"


async def test_members_are_changed_counted_and_removed(rows: Rows) -> None:
    owner, other = await rows.user(), await rows.user()
    acme = await rows.organization({owner: "owner", other: "member"})
    await rows.organization({other: "owner"})
    assert await rows.run(lambda tx: tx.organizations.count_owners(acme.id)) == 1
    await rows.run(lambda tx: tx.organizations.set_role(acme.id, other.id, role="owner"))
    assert await rows.run(lambda tx: tx.organizations.count_owners(acme.id)) == 2
    assert await rows.run(lambda tx: tx.organizations.remove_member(acme.id, owner.id))
    assert not await rows.run(lambda tx: tx.organizations.remove_member(acme.id, owner.id))
    members = await rows.run(lambda tx: tx.organizations.list_members(acme.id, limit=9))
    assert [member.user_id for member in members] == [other.id]


async def test_invitation_is_found_by_id_digest_and_address(rows: Rows) -> None:
    inviter, digest = await rows.user(), a_digest()
    acme, other = await rows.organization(), await rows.organization()
    kept = await rows.invitation(acme, inviter, digest=digest)
    foreign = await rows.invitation(other, inviter, created_at=NOW + SECOND)
    email, end = kept.email, kept.expires_at
    assert await rows.run(lambda tx: tx.organizations.find_invitation(kept.id)) == kept
    assert await rows.run(lambda tx: tx.organizations.find_invitation_by_digest(digest)) == kept
    found = await rows.run(lambda tx: tx.organizations.find_pending_invitation(acme.id, email, now=NOW))
    assert found == kept
    assert (
        await rows.run(lambda tx: tx.organizations.find_pending_invitation(acme.id, email, now=end)) is None
    )
    assert (
        await rows.run(lambda tx: tx.organizations.find_pending_invitation(acme.id, "x@y.z", now=NOW)) is None
    )
    assert await rows.run(lambda tx: tx.organizations.list_invitations(acme.id, roles=RANK, limit=9)) == [
        kept
    ]
    mine = await rows.run(lambda tx: tx.organizations.list_invitations_for(email, limit=9, now=NOW))
    assert mine == [foreign, kept]
    assert await rows.run(lambda tx: tx.organizations.list_invitations_for(email, limit=9, now=end)) == []


@pytest.mark.parametrize("status", ["accepted", "rejected", "canceled"])
async def test_invitation_is_answered_once_and_before_it_expires(
    rows: Rows, status: InvitationStatus
) -> None:
    acme, inviter = await rows.organization(), await rows.user()
    kept, late = await rows.invitation(acme, inviter), await rows.invitation(acme, inviter)

    async def close(invitation_id: str, now: datetime = NOW) -> bool:
        return await rows.run(
            lambda tx: tx.organizations.close_invitation(invitation_id, status=status, now=now)
        )

    assert not await close(late.id, late.expires_at)
    assert await close(kept.id)
    assert not await close(kept.id)
    assert await rows.run(lambda tx: tx.organizations.find_invitation(kept.id)) == replace(
        kept, status=status
    )
    found = await rows.run(lambda tx: tx.organizations.find_pending_invitation(acme.id, kept.email, now=NOW))
    assert found == late


async def test_pruning_deletes_expired_invitations(rows: Rows) -> None:
    acme, inviter = await rows.organization(), await rows.user()
    await rows.invitation(acme, inviter)
    kept = await rows.invitation(acme, inviter, expires_at=NOW + 100 * HOUR)
    assert await rows.run(lambda tx: tx.organizations.prune_expired(before=NOW + 49 * HOUR)) == 1
    assert await rows.run(lambda tx: tx.organizations.list_invitations(acme.id, roles=RANK, limit=9)) == [
        kept
    ]
