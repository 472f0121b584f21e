"""Rotating API keys with an overlap (docs/reference/rest.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from tests.contract.acting import create_key, create_organization, is_accepted, join, listed_keys
from tests.contract.api import Answer, Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Timed
from tests.contract.keys import FIELDS, KEY, moment
from tests.contract.people import Session

SAME = ("name", "organizationId", "scopes", "metadata", "enabled", "expiresAt")


async def ask(api: Api, session: Session, key: dict[str, Any], **body: object) -> Answer:
    return await api.post(f"/api-keys/{key['id']}/rotate", body, bearer=session.token)


async def rotate(api: Api, session: Session, key: dict[str, Any], **body: object) -> dict[str, Any]:
    successor: dict[str, Any] = accepted(await ask(api, session, key, **body), 201)["apiKey"]
    return successor


async def test_successor_has_a_new_key_and_the_same_rights(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    old = await create_key(
        timed.api,
        session,
        organizationId=organization,
        scopes=["a:b", "c:d"],
        metadata={"m": 1},
        expiresIn=10**6,
    )
    timed.time.advance(seconds=5)
    new = await rotate(timed.api, session, old)
    assert set(new) >= FIELDS
    assert KEY.fullmatch(new["key"])
    assert (new["id"], new["key"]) != (old["id"], old["key"])
    assert new["prefix"] == new["key"][:8]
    assert {name: new[name] for name in SAME} == {name: old[name] for name in SAME}
    assert new["lastUsedAt"] is None
    assert await is_accepted(timed.api, new["key"])
    # Without an overlap the old one dies at once.
    assert not await is_accepted(timed.api, old["key"])
    assert [key["id"] for key in await listed_keys(timed.api, session)] == [new["id"]]


async def test_old_key_works_during_the_overlap_and_is_listed_until_it_expires(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    old = await create_key(timed.api, session)
    new = await rotate(timed.api, session, old, overlapSeconds=600)
    timed.time.advance(seconds=599.999)
    assert await is_accepted(timed.api, old["key"])
    assert await is_accepted(timed.api, new["key"])
    listed = {key["id"]: key for key in await listed_keys(timed.api, session)}
    assert set(listed) == {old["id"], new["id"]}
    assert listed[old["id"]]["expiresAt"] == moment(timed.time.now + timedelta(milliseconds=1))
    assert listed[new["id"]]["expiresAt"] is None
    timed.time.advance(seconds=0.001)
    assert not await is_accepted(timed.api, old["key"])
    assert await is_accepted(timed.api, new["key"])
    assert [key["id"] for key in await listed_keys(timed.api, session)] == [new["id"]]


async def test_overlap_never_outlasts_the_keys_own_expiry(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    old = await create_key(timed.api, session, expiresIn=60)
    new = await rotate(timed.api, session, old, overlapSeconds=3600)
    assert new["expiresAt"] == old["expiresAt"]
    timed.time.advance(seconds=59.999)
    assert await is_accepted(timed.api, old["key"])
    timed.time.advance(seconds=0.001)
    assert not await is_accepted(timed.api, old["key"])
    assert not await is_accepted(timed.api, new["key"])


async def test_end_of_the_overlap_cannot_be_moved(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    old = await create_key(timed_sqlite.api, session)
    await rotate(timed_sqlite.api, session, old, overlapSeconds=60)
    for end in (None, moment(timed_sqlite.time.now + timedelta(days=1))):
        answer = await timed_sqlite.api.patch(
            f"/api-keys/{old['id']}", {"expiresAt": end}, bearer=session.token
        )
        refused(answer, 400, "VALIDATION_ERROR")
    timed_sqlite.time.advance(seconds=60)
    assert not await is_accepted(timed_sqlite.api, old["key"])


async def test_overlap_is_from_nothing_to_a_day(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    old = await create_key(live_sqlite.api, session)
    for overlap in (-1, 86_401, 10**9, 10**400, 1.5, "60", True, None):
        answer = await ask(live_sqlite.api, session, old, overlapSeconds=overlap)
        refused(answer, 400, "VALIDATION_ERROR")
    refused(await ask(live_sqlite.api, session, old, overlap=60), 400, "VALIDATION_ERROR")
    assert await is_accepted(live_sqlite.api, old["key"])
    assert len(await listed_keys(live_sqlite.api, session)) == 1
    await rotate(live_sqlite.api, session, old, overlapSeconds=86_400)
    assert await is_accepted(live_sqlite.api, old["key"])


async def test_second_rotation_is_refused_whether_or_not_the_old_key_still_works(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    for overlap in (0, 60):
        old = await create_key(timed.api, session)
        new = await rotate(timed.api, session, old, overlapSeconds=overlap)
        refused(await ask(timed.api, session, old), 409, "API_KEY_ALREADY_ROTATED")
        refused(await ask(timed.api, session, old, overlapSeconds=60), 409, "API_KEY_ALREADY_ROTATED")
        timed.time.advance(seconds=61)
        refused(await ask(timed.api, session, old), 409, "API_KEY_ALREADY_ROTATED")
        assert await is_accepted(timed.api, new["key"])
        newest = await rotate(timed.api, session, new)
        assert await is_accepted(timed.api, newest["key"])


async def test_of_rotations_at_once_one_succeeds(live: Live) -> None:
    _, session = await live.people.newcomer()
    old = await create_key(live.api, session)
    answers = await asyncio.gather(*(ask(live.api, session, old, overlapSeconds=60) for _ in range(16)))
    codes = Counter(answer.json().get("code", answer.status_code) for answer in answers)
    assert codes == {201: 1, "API_KEY_ALREADY_ROTATED": 15}
    assert len(await listed_keys(live.api, session)) == 2


async def test_old_key_does_not_count_against_the_limit_and_its_successor_does(deploy: Deploy) -> None:
    timed = await deploy(api_key_limit=2)
    _, session = await timed.people.newcomer()
    keys = [await create_key(timed.api, session) for _ in range(2)]
    # At the limit a rotation still works, and leaves exactly as much room as before.
    successors = [await rotate(timed.api, session, key, overlapSeconds=3600) for key in keys]
    assert len(await listed_keys(timed.api, session)) == 4
    full = await timed.api.post("/api-keys", {"name": "one more"}, bearer=session.token)
    refused(full, 409, "API_KEY_LIMIT_REACHED")
    accepted(await timed.api.delete(f"/api-keys/{successors[0]['id']}", bearer=session.token), 204)
    await create_key(timed.api, session)


async def test_either_of_the_two_is_revoked_without_the_other(live: Live) -> None:
    _, session = await live.people.newcomer()
    for revoked, kept in ((0, 1), (1, 0)):
        old = await create_key(live.api, session)
        pair = old, await rotate(live.api, session, old, overlapSeconds=600)
        accepted(await live.api.delete(f"/api-keys/{pair[revoked]['id']}", bearer=session.token), 204)
        assert not await is_accepted(live.api, pair[revoked]["key"])
        assert await is_accepted(live.api, pair[kept]["key"])


async def test_disabled_key_gets_a_disabled_successor(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    old = await create_key(live_sqlite.api, session)
    accepted(await live_sqlite.api.patch(f"/api-keys/{old['id']}", {"enabled": False}, bearer=session.token))
    new = await rotate(live_sqlite.api, session, old, overlapSeconds=60)
    assert new["enabled"] is False
    for key in (old, new):
        assert not await is_accepted(live_sqlite.api, key["key"])


async def test_rotation_needs_the_right_to_create_such_a_key(live_sqlite: Live) -> None:
    api = live_sqlite.api
    _, owner = await live_sqlite.people.newcomer()
    account, session = await live_sqlite.people.newcomer()
    organization = await create_organization(api, owner)
    await join(api, owner, organization, (account, session), "admin")
    key = await create_key(api, session, organizationId=organization)
    member = f"/organizations/{organization}/members/{account.id}"
    accepted(await api.patch(member, {"role": "member"}, bearer=owner.token))
    refused(await ask(api, session, key), 403, "INSUFFICIENT_API_KEY_PERMISSIONS")
    assert await is_accepted(api, key["key"])


async def test_key_without_overlap_stays_dead_when_the_clock_is_set_back(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    old = await create_key(timed.api, session)
    timed.time.advance(hours=2)
    new = await rotate(timed.api, session, old)
    timed.time.advance(hours=-1)
    assert not await is_accepted(timed.api, old["key"])
    assert await is_accepted(timed.api, new["key"])
    answer = await timed.api.patch(f"/api-keys/{old['id']}", {"enabled": True}, bearer=session.token)
    assert answer.status_code == 400
    assert not await is_accepted(timed.api, old["key"])
