"""Keys that act in one organization (docs/reference/rest.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.acting import (
    UNKNOWN,
    create_key,
    create_organization,
    is_accepted,
    join,
    listed_keys,
    principal_of,
)
from tests.contract.api import Answer, Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, Session


@dataclass
class Acme:
    """An organization with its owner and somebody who joined."""

    api: Api
    id: str
    owner: Session
    account: Account
    session: Session

    async def ask(self, session: Session, organization: str | None = None) -> Answer:
        body = {"name": "a key", "organizationId": organization or self.id}
        return await self.api.post("/api-keys", body, bearer=session.token)

    async def key(self) -> dict[str, Any]:
        """Return a key of the member who joined."""
        return await create_key(self.api, self.session, organizationId=self.id, scopes=["a:b"])

    @property
    def member(self) -> str:
        return f"/organizations/{self.id}/members/{self.account.id}"


async def acme_of(live: Live, role: str = "admin") -> Acme:
    _, owner = await live.people.newcomer()
    account, session = await live.people.newcomer()
    organization = await create_organization(live.api, owner)
    await join(live.api, owner, organization, (account, session), role)
    return Acme(live.api, organization, owner, account, session)


async def test_owners_and_admins_make_keys_and_members_and_viewers_do_not(live: Live) -> None:
    acme = await acme_of(live)
    for session in (acme.owner, acme.session):
        shown = accepted(await acme.ask(session), 201)["apiKey"]
        assert shown["organizationId"] == acme.id
        assert (await principal_of(live.api, shown["key"]))["organizationId"] == acme.id
    for role in ("member", "viewer"):
        accepted(await live.api.patch(acme.member, {"role": role}, bearer=acme.owner.token))
        refused(await acme.ask(acme.session), 403, "INSUFFICIENT_API_KEY_PERMISSIONS")
    accepted(await live.api.patch(acme.member, {"role": "owner"}, bearer=acme.owner.token))
    accepted(await acme.ask(acme.session), 201)


async def test_outsider_cannot_tell_whether_an_organization_exists(live: Live) -> None:
    acme = await acme_of(live)
    _, stranger = await live.people.newcomer()
    answers = [await acme.ask(stranger, organization) for organization in (acme.id, UNKNOWN, "acme")]
    for answer in answers:
        refused(answer, 403, "USER_NOT_MEMBER_OF_ORGANIZATION")
        assert answer.content == answers[0].content
    assert await listed_keys(live.api, stranger) == []


async def test_key_reads_its_own_organization_and_no_other(live: Live) -> None:
    acme = await acme_of(live)
    other = await create_organization(live.api, acme.session, "Other")
    scoped, free = await acme.key(), await create_key(live.api, acme.session)
    listed = accepted(await live.api.get("/organizations", bearer=scoped["key"]))["organizations"]
    assert [organization["id"] for organization in listed] == [acme.id]
    accepted(await live.api.get(f"/organizations/{acme.id}", bearer=scoped["key"]))
    answer = await live.api.get(f"/organizations/{other}", bearer=scoped["key"])
    refused(answer, 403, "ORGANIZATION_SCOPE_MISMATCH")
    assert accepted(await live.api.get("/organizations", bearer=free["key"]))["total"] == 2


async def test_demotion_leaves_the_key_and_takes_the_right_to_make_more(live_sqlite: Live) -> None:
    acme = await acme_of(live_sqlite)
    key = await acme.key()
    accepted(await live_sqlite.api.patch(acme.member, {"role": "viewer"}, bearer=acme.owner.token))
    assert (await principal_of(live_sqlite.api, key["key"]))["scopes"] == ["a:b"]
    members = await live_sqlite.api.get(f"/organizations/{acme.id}/members", bearer=key["key"])
    refused(members, 403, "FORBIDDEN")


@pytest.mark.parametrize("way", ["removed", "left"])
async def test_key_ends_with_the_membership_and_rejoining_does_not_bring_it_back(
    live: Live, way: str
) -> None:
    acme = await acme_of(live)
    key, elsewhere = await acme.key(), await create_key(live.api, acme.session)
    owners = await create_key(live.api, acme.owner, organizationId=acme.id)
    assert await is_accepted(live.api, key["key"])
    actor = acme.owner if way == "removed" else acme.session
    accepted(await live.api.delete(acme.member, {"confirm": True}, bearer=actor.token), 204)
    assert not await is_accepted(live.api, key["key"])
    assert [left["id"] for left in await listed_keys(live.api, acme.session)] == [elsewhere["id"]]
    await join(live.api, acme.owner, acme.id, (acme.account, acme.session))
    assert not await is_accepted(live.api, key["key"])
    answer = await live.api.patch(f"/api-keys/{key['id']}", {"enabled": True}, bearer=acme.session.token)
    refused(answer, 404, "NOT_FOUND")
    for untouched in (elsewhere, owners):
        assert await is_accepted(live.api, untouched["key"])
    assert await is_accepted(live.api, (await acme.key())["key"])


async def test_keys_die_with_the_organization(live: Live) -> None:
    acme = await acme_of(live)
    keys = [await acme.key(), await create_key(live.api, acme.owner, organizationId=acme.id)]
    elsewhere = await create_key(live.api, acme.owner)
    for key in keys:
        assert await is_accepted(live.api, key["key"])
    accepted(await live.api.delete(f"/organizations/{acme.id}", bearer=acme.owner.token), 204)
    for key in keys:
        assert not await is_accepted(live.api, key["key"])
    assert await is_accepted(live.api, elsewhere["key"])
    assert await listed_keys(live.api, acme.session) == []
    refused(await acme.ask(acme.owner), 403, "USER_NOT_MEMBER_OF_ORGANIZATION")
