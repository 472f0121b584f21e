"""Changes in an organization, to its members and what they hold there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from czo_auth.core.organizations.two_factor import Exemption
from czo_auth.core.text import iso_timestamp
from czo_auth.core.transaction import Transaction
from tests.attacks.removable import Removable
from tests.attacks.removals.change import Change, Kinds
from tests.support.records import HOUR

KINDS: Final = Kinds()


@KINDS.add("member removed")
async def _member_removed(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member, "admin")
    key = await made.key(member, organization_id=acme.id)
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    return Change(
        method="DELETE",
        path=f"/organizations/{acme.id}/members/{member.id}",
        bearer=owner,
        body={"confirm": True},
        status=204,
        takes=[*key.credentials, *session.credentials],
    )


@KINDS.add("member's role lowered")
async def _role_lowered(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member, "admin")
    key = await made.key(member, "/?role=admin", organization_id=acme.id)
    session = await made.session(member, "/?role=admin", organization_id=acme.id)
    return Change(
        method="PATCH",
        path=f"/organizations/{acme.id}/members/{member.id}",
        bearer=owner,
        body={"role": "viewer"},
        takes=[*key.credentials, *session.credentials],
    )


@KINDS.add("member's key revoked in the organization")
async def _member_key_revoked(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    key = await made.key(member, organization_id=acme.id)
    path = f"/organizations/{acme.id}/api-keys/{key.row.id}"
    return Change(method="DELETE", path=path, bearer=owner, status=204, takes=key.credentials)


@KINDS.add("member's key transferred")
async def _key_transferred(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    account = await made.rows.service_account(acme)
    key = await made.key(member, organization_id=acme.id)
    return Change(
        method="POST",
        path=f"/organizations/{acme.id}/api-keys/{key.row.id}/transfer",
        bearer=owner,
        body={"serviceAccountId": account.id},
        status=201,
        takes=key.credentials,
    )


@KINDS.add("organization deleted")
async def _organization_deleted(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    key = await made.key(member, organization_id=acme.id)
    account_key = await made.key(await made.rows.service_account(acme))
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    takes = [*key.credentials, *account_key.credentials, *session.credentials]
    return Change(method="DELETE", path=f"/organizations/{acme.id}", bearer=owner, status=204, takes=takes)


@KINDS.add("organization demands two factors")
async def _factors_demanded(made: Removable) -> Change:
    member = await made.user()
    acme, owner = await made.organization(member)
    key = await made.key(member, organization_id=acme.id)
    session = await made.session(member, organization_id=acme.id)
    yesterday = iso_timestamp(made.auth.now() - timedelta(days=1))
    return Change(
        method="PATCH",
        path=f"/organizations/{acme.id}",
        bearer=owner,
        body={"requireTwoFactorFrom": yesterday, "twoFactorGraceDays": 0},
        takes=[*key.credentials, *session.credentials],
    )


@KINDS.add("exemption from two factors ended")
async def _exemption_ended(made: Removable) -> Change:
    now, member = made.auth.now(), await made.user()
    acme, owner = await made.organization(member)
    exemption = Exemption(
        organization_id=acme.id,
        user_id=member.id,
        since=now - HOUR,
        until=now + timedelta(days=7),
        reason="x",
        by=member.id,
    )

    def exempt(tx: Transaction) -> None:
        tx.organizations.update(
            replace(acme, require_two_factor_from=now - timedelta(days=1), two_factor_grace_days=0)
        )
        tx.factor_rules.put_exemption(exemption, joined_at=now - timedelta(days=30))
        tx.factor_rules.apply(acme.id)

    await made.rows.run(exempt, made.context)
    key = await made.key(member, organization_id=acme.id)
    session = await made.session(member, organization_id=acme.id)
    return Change(
        method="DELETE",
        path=f"/organizations/{acme.id}/members/{member.id}/two-factor-exemption",
        bearer=owner,
        body={},
        status=204,
        takes=[*key.credentials, *session.credentials],
    )


@KINDS.add("organization of a session cleared")
async def _organization_left(made: Removable) -> Change:
    member = await made.user()
    acme, _ = await made.organization(member)
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    return Change(
        method="POST",
        path="/organizations/deactivate",
        bearer=session.token,
        status=204,
        takes=session.credentials,
    )


@KINDS.add("organization of a session changed")
async def _organization_changed(made: Removable) -> Change:
    member = await made.user()
    acme, _ = await made.organization(member)
    other, _ = await made.organization(member)
    session = await made.session(member, f"/?organization={acme.id}", organization_id=acme.id)
    path = f"/organizations/{other.id}/activate"
    return Change(method="POST", path=path, bearer=session.token, takes=session.credentials)
