"""Attacks on organizations: looking in, rising, staying, and other people's invitations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.conftest import Graph
from tests.contract.acting import UNKNOWN, create_organization, join
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep

Person = tuple[Account, Session]


@pytest.fixture
async def owner(live: Live) -> Person:
    return await live.people.newcomer()


@pytest.fixture
async def organization(live: Live, owner: Person) -> str:
    return await create_organization(live.api, owner[1])


async def member_of(live: Live, owner: Person, organization: str, role: str) -> Person:
    person = await live.people.newcomer()
    await join(live.api, owner[1], organization, person, role)
    return person


async def invite(live: Live, by: Session, organization: str, email: str, role: str = "member") -> Any:
    path = f"/organizations/{organization}/invitations"
    return await live.api.post(path, {"email": email, "role": role}, bearer=by.token)


STRANGE = [
    ("GET", "", None),
    ("PATCH", "", {"name": "mine"}),
    ("DELETE", "", None),
    ("POST", "/activate", {}),
    ("GET", "/members", None),
    ("DELETE", "/members/{owner}", None),
    ("PATCH", "/members/{owner}", {"role": "viewer"}),
    ("GET", "/invitations", None),
    ("POST", "/invitations", {"email": "eve@example.com", "role": "owner"}),
]


@pytest.mark.parametrize(("method", "path", "body"), STRANGE, ids=[f"{one[0]} {one[1]}" for one in STRANGE])
async def test_stranger_looking_in(
    live: Live, owner: Person, organization: str, method: str, path: str, body: Any
) -> None:
    """What is not yours to see is not there: the answer is that of an id which nothing has."""
    _, stranger = await live.people.newcomer()
    more = () if body is None else (body,)
    path = path.replace("{owner}", owner[0].id)
    answers = [
        await live.api.call(method, f"/organizations/{each}{path}", *more, bearer=stranger.token)
        for each in (organization, UNKNOWN)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text == answers[1].text


async def test_stranger_looking_in_by_graphql(live: Live, organization: str, graph: Graph) -> None:
    _, stranger = await live.people.newcomer()
    answer = await graph(f'{{ organization(id: "{organization}") {{ id name }} }}', stranger.token)
    assert "Acme" not in answer.text
    entity = f'{{__typename: "Organization", id: "{organization}"}}'
    query = f"{{ _entities(representations: [{entity}]) {{ __typename }} }}"
    assert (await graph(query, stranger.token)).json()["data"]["_entities"] == [None]


@pytest.mark.parametrize(("role", "wanted"), [("admin", "owner"), ("member", "admin"), ("viewer", "member")])
async def test_raising_oneself(live: Live, owner: Person, organization: str, role: str, wanted: str) -> None:
    person = await member_of(live, owner, organization, role)
    path = f"/organizations/{organization}/members/{person[0].id}"
    refused(await live.api.patch(path, {"role": wanted}, bearer=person[1].token), 403, "FORBIDDEN")


@pytest.mark.parametrize("change", ["demote", "remove"])
async def test_admin_against_an_owner(live: Live, owner: Person, organization: str, change: str) -> None:
    admin = await member_of(live, owner, organization, "admin")
    path = f"/organizations/{organization}/members/{owner[0].id}"
    if change == "demote":
        answer = await live.api.patch(path, {"role": "viewer"}, bearer=admin[1].token)
    else:
        answer = await live.api.delete(path, bearer=admin[1].token)
    refused(answer, 403, "FORBIDDEN")


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_managing_without_the_right(live: Live, owner: Person, organization: str, role: str) -> None:
    person = await member_of(live, owner, organization, role)
    base = f"/organizations/{organization}"
    by = person[1].token
    answers = [
        await live.api.patch(base, {"name": "mine"}, bearer=by),
        await live.api.delete(base, bearer=by),
        await live.api.post(f"{base}/invitations", {"email": "eve@example.com", "role": "viewer"}, bearer=by),
        await live.api.get(f"{base}/invitations", bearer=by),
        await live.api.delete(f"{base}/members/{owner[0].id}", bearer=by),
    ]
    for answer in answers:
        refused(answer, 403, "FORBIDDEN")


async def test_admin_deleting_the_organization(live: Live, owner: Person, organization: str) -> None:
    admin = await member_of(live, owner, organization, "admin")
    answer = await live.api.delete(f"/organizations/{organization}", bearer=admin[1].token)
    refused(answer, 403, "FORBIDDEN")


async def test_admin_inviting_an_owner(live: Live, owner: Person, organization: str) -> None:
    admin = await member_of(live, owner, organization, "admin")
    refused(await invite(live, admin[1], organization, "eve@example.com", "owner"), 403, "FORBIDDEN")


async def test_admin_sending_an_owners_invitation_again(live: Live, owner: Person, organization: str) -> None:
    """Nor does a lesser invitation push out one to a role above one's own."""
    admin = await member_of(live, owner, organization, "admin")
    accepted(await invite(live, owner[1], organization, "heir@example.com", "owner"), 201)
    body = {"email": "heir@example.com", "role": "viewer", "resend": True}
    path = f"/organizations/{organization}/invitations"
    refused(await live.api.post(path, body, bearer=admin[1].token), 403, "FORBIDDEN")


async def test_last_owner_leaving(live: Live, owner: Person, organization: str) -> None:
    path = f"/organizations/{organization}/members/{owner[0].id}"
    refused(await live.api.delete(path, bearer=owner[1].token), 409, "LAST_OWNER")
    refused(await live.api.patch(path, {"role": "admin"}, bearer=owner[1].token), 409, "LAST_OWNER")


@pytest.mark.parametrize("role", ["root", "OWNER", "owner,admin", "owner ", "", "__proto__"])
async def test_role_that_there_is_not(live: Live, owner: Person, organization: str, role: str) -> None:
    refused(await invite(live, owner[1], organization, "eve@example.com", role), 400, "VALIDATION_ERROR")


# --- invitations -----------------------------------------------------------------------------------------------------
async def accept(live: Live, token: str, by: Session) -> Any:
    return await live.api.post("/invitations/accept", {"token": token}, bearer=by.token)


async def test_invitation_of_somebody_else(live: Live, owner: Person, organization: str) -> None:
    invited, thief = await live.people.newcomer(), await live.people.newcomer()
    token = accepted(await invite(live, owner[1], organization, invited[0].email), 201)["token"]
    refused(await accept(live, token, thief[1]), 403, "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION")
    accepted(await accept(live, token, invited[1]))


async def test_invitation_used_again_after_removal(live: Live, owner: Person, organization: str) -> None:
    person = await live.people.newcomer()
    token = accepted(await invite(live, owner[1], organization, person[0].email), 201)["token"]
    accepted(await accept(live, token, person[1]))
    path = f"/organizations/{organization}/members/{person[0].id}"
    accepted(await live.api.delete(path, bearer=owner[1].token), 204)
    refused(await accept(live, token, person[1]), 400, "INVITATION_NOT_FOUND")


@pytest.mark.parametrize(
    "end", ["cancelled", "expired", "inviter removed", "inviter demoted", "deleted", "resent"]
)
async def test_dead_invitation(live: Live, owner: Person, organization: str, end: str) -> None:
    inviter = await member_of(live, owner, organization, "admin")
    person = await live.people.newcomer()
    sent = accepted(await invite(live, inviter[1], organization, person[0].email), 201)
    base = f"/organizations/{organization}"
    if end == "cancelled":
        path = f"{base}/invitations/{sent['invitation']['id']}"
        accepted(await live.api.delete(path, bearer=owner[1].token), 204)
    elif end == "expired":
        put = "UPDATE {}invitations SET expires_at = created_at WHERE id = $1"
        await sql(live.served.database_url, put, sent["invitation"]["id"])
    elif end == "inviter removed":
        accepted(await live.api.delete(f"{base}/members/{inviter[0].id}", bearer=owner[1].token), 204)
    elif end == "inviter demoted":
        path = f"{base}/members/{inviter[0].id}"
        accepted(await live.api.patch(path, {"role": "member"}, bearer=owner[1].token))
    elif end == "deleted":
        accepted(await live.api.delete(base, bearer=owner[1].token), 204)
    else:
        body = {"email": person[0].email, "role": "viewer", "resend": True}
        accepted(await live.api.post(f"{base}/invitations", body, bearer=owner[1].token), 201)
    refused(await accept(live, sent["token"], person[1]), 400, "INVITATION_NOT_FOUND")


async def test_guessed_invitation(live: Live) -> None:
    _, session = await live.people.newcomer()
    for token in ("czi_" + "A" * 43, "nonsense", UNKNOWN, "czi_%"):
        refused(await accept(live, token, session), 400, "INVITATION_NOT_FOUND")


async def test_reading_the_token_of_an_invitation(live: Live, owner: Person, organization: str) -> None:
    sent = accepted(await invite(live, owner[1], organization, "heir@example.com"), 201)
    answer = await live.api.get(f"/organizations/{organization}/invitations", bearer=owner[1].token)
    assert sent["token"] not in answer.text


async def test_invitation_of_another_organization_cancelled_from_ones_own(
    live: Live, owner: Person, organization: str
) -> None:
    eve = await live.people.newcomer()
    hers = await create_organization(live.api, eve[1], "Evil")
    sent = accepted(await invite(live, owner[1], organization, "heir@example.com"), 201)
    path = f"/organizations/{hers}/invitations/{sent['invitation']['id']}"
    answer = await live.api.delete(path, bearer=eve[1].token)
    assert answer.status_code == 404
    (listed,) = accepted(
        await live.api.get(f"/organizations/{organization}/invitations", bearer=owner[1].token)
    )["invitations"]
    assert listed["status"] == "pending"


async def test_member_of_another_organization_changed_from_ones_own(
    live: Live, owner: Person, organization: str
) -> None:
    eve = await live.people.newcomer()
    hers = await create_organization(live.api, eve[1], "Evil")
    path = f"/organizations/{hers}/members/{owner[0].id}"
    assert (await live.api.delete(path, bearer=eve[1].token)).status_code == 404
    accepted(await live.api.get(f"/organizations/{organization}", bearer=owner[1].token))


@pytest.mark.parametrize("end", ["removed", "deleted"])
async def test_active_organization_of_a_session_afterwards(
    live: Live, owner: Person, organization: str, end: str
) -> None:
    person = await member_of(live, owner, organization, "admin")
    accepted(await live.api.post(f"/organizations/{organization}/activate", {}, bearer=person[1].token))
    reported = accepted(await live.api.get("/whoami", bearer=person[1].token))
    assert reported["organizationId"] == organization
    base = f"/organizations/{organization}"
    path = base if end == "deleted" else f"{base}/members/{person[0].id}"
    accepted(await live.api.delete(path, bearer=owner[1].token), 204)
    for token in (person[1].token, person[1].access_token):
        assert accepted(await live.api.get("/whoami", bearer=token))["organizationId"] is None
