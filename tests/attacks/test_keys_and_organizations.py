"""
What leads into an organization: API keys, ids of invitations, and addresses that nobody confirmed.

A key of an owner without any scope must not show whom the owner invited, and an invitation's id proves no mailbox.
"""

from __future__ import annotations

from typing import Any

import pytest

from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import EmailNotVerified, SessionRequired
from czo_auth.core.flows.organizations.invitations import NewInvitation
from tests.contract.acting import create_key, create_organization, graphql, join
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session

INVITED = "heir@example.com"
UNCONFIRMED = "EMAIL_VERIFICATION_REQUIRED_FOR_INVITATION"


async def confirm(timed: Timed, account: Account) -> None:
    """Mark the address of *account* as confirmed."""
    url = timed.runtime.settings.storage_url
    await sql(url, "UPDATE {}users SET email_verified = true WHERE id = $1", account.id)


async def invite(timed: Timed, by: Session, organization: str, email: str, role: str = "owner") -> Any:
    path = f"/organizations/{organization}/invitations"
    return accepted(await timed.api.post(path, {"email": email, "role": role}, bearer=by.token), 201)


# --- keys ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bound", [False, True], ids=["free", "of the organization"])
@pytest.mark.parametrize("scopes", [[], ["orders:read", "invitations:read"]], ids=["no scopes", "scopes"])
async def test_key_sees_no_invitation_and_no_address(timed: Timed, bound: bool, scopes: list[str]) -> None:
    owner, session = await timed.people.newcomer()
    member = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    await join(timed.api, session, organization, member, "member")
    sent = await invite(timed, session, organization, INVITED)
    more = {"organizationId": organization} if bound else {}
    key = (await create_key(timed.api, session, scopes=scopes, **more))["key"]

    query = f"?organizationId={organization}"
    for path in (
        f"/organizations/{organization}/invitations",
        f"/organization/list-invitations{query}",
        f"/organization/get-invitation?id={sent['invitation']['id']}",
        "/organization/list-user-invitations",
    ):
        refused(await timed.api.get(path, bearer=key), 403, "SESSION_REQUIRED")

    seen = [
        await timed.api.get(path, bearer=key)
        for path in (
            "/organizations",
            f"/organizations/{organization}",
            f"/organizations/{organization}/members",
            f"/organization/get-full-organization{query}",
            f"/organization/list-members{query}",
            f"/organization/get-organization{query}",
            f"/organization/get-active-member-role{query}",
        )
    ]
    for answer in seen:
        accepted(answer)
        for hidden in (INVITED, owner.email, member[0].email, sent["invitation"]["id"], sent["token"]):
            assert hidden not in answer.text
    members = seen[2].json()["members"]
    assert [one["email"] for one in members] == [one["user"]["email"] for one in members] == [None, None]
    assert {one["userId"] for one in members} == {owner.id, member[0].id}
    assert seen[3].json()["invitations"] == []
    answer = await graphql(timed, f'{{ organization(id: "{organization}") {{ id name role }} }}', key)
    assert answer.json()["data"]["organization"]["role"] == "owner"
    assert INVITED not in answer.text


async def test_active_member_of_a_bound_key_has_no_address(timed: Timed) -> None:
    owner, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    key = (await create_key(timed.api, session, organizationId=organization))["key"]
    answer = await timed.api.get("/organization/get-active-member", bearer=key)
    assert accepted(answer)["userId"] == owner.id
    assert owner.email not in answer.text


async def test_session_still_sees_members_and_invitations(timed: Timed) -> None:
    owner, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    await invite(timed, session, organization, INVITED)
    full = accepted(
        await timed.api.get(
            f"/organization/get-full-organization?organizationId={organization}", bearer=session.token
        )
    )
    assert [one["email"] for one in full["members"]] == [owner.email]
    assert [one["email"] for one in full["invitations"]] == [INVITED]


async def test_flows_refuse_a_key_in_process_as_well(timed: Timed) -> None:
    """A host that calls the flows itself gets the same refusal: the rule is not the routes'."""
    _, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    sent = await invite(timed, session, organization, INVITED)
    key = (await create_key(timed.api, session))["key"]
    auth, now = timed.runtime, timed.clock()
    principal = await auth.authenticate.api_key(key, client=lambda: None, now=now)
    invitation = sent["invitation"]["id"]
    how: dict[str, Any] = {"context": system_context(now).of(principal)}
    new = NewInvitation(email="eve@example.com", role="owner")
    for attempt in (
        auth.invitations.list(organization, context=Context(now=now).of(principal)),
        auth.received_invitations.get(invitation, context=Context(now=now).of(principal)),
        auth.received_invitations.list_for(context=Context(now=now).of(principal)),
        auth.invitations.invite(organization, new, **how),
        auth.invitations.cancel(invitation, **how),
        auth.received_invitations.accept_by_id(invitation, **how),
        auth.received_invitations.accept_by_token(sent["token"], **how),
        auth.received_invitations.reject(invitation, **how),
    ):
        with pytest.raises(SessionRequired):
            await attempt


# --- ids of invitations ----------------------------------------------------------------------------------------------
async def test_id_of_an_invitation_lets_no_unconfirmed_address_in(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    account, thief = await timed.people.newcomer()
    sent = await invite(timed, session, organization, account.email.upper())
    invitation = sent["invitation"]["id"]

    by_id = {"invitationId": invitation}
    for answer in (
        await timed.api.get(f"/organization/get-invitation?id={invitation}", bearer=thief.token),
        await timed.api.post("/organization/accept-invitation", by_id, bearer=thief.token),
        await timed.api.post("/organization/accept-invitation", by_id, cookies=thief.cookies),
        await timed.api.post("/organization/accept-invitation", by_id, bearer=thief.access_token),
    ):
        refused(answer, 403, UNCONFIRMED)
    auth, now = timed.runtime, timed.clock()
    principal = await auth.authenticate.session_token(thief.token, now=now)
    with pytest.raises(EmailNotVerified):
        await auth.received_invitations.accept_by_id(invitation, context=system_context(now).of(principal))
    listed = accepted(await timed.api.get("/organizations", bearer=thief.token))
    assert listed["organizations"] == []

    await confirm(timed, account)
    accepted(await timed.api.get(f"/organization/get-invitation?id={invitation}", bearer=thief.token))
    accepted(await timed.api.post("/organization/accept-invitation", by_id, bearer=thief.token))


async def test_token_of_the_mail_and_declining_need_no_confirmed_address(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    invited, other = await timed.people.newcomer(), await timed.people.newcomer()
    await invite(timed, session, organization, invited[0].email, "member")
    token = await timed.mail.token(invited[0].email, "invitation")
    accepted(await timed.api.post("/invitations/accept", {"token": token}, bearer=invited[1].token))
    declined = await invite(timed, session, organization, other[0].email, "member")
    body = {"invitationId": declined["invitation"]["id"]}
    accepted(await timed.api.post("/organization/reject-invitation", body, bearer=other[1].token))
