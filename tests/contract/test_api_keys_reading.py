"""Listing, reading, changing and revoking API keys (docs/reference/rest.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from tests.contract.acting import (
    UNKNOWN,
    create_key,
    create_organization,
    is_accepted,
    listed_keys,
    principal_of,
)
from tests.contract.api import Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.deployments import Timed
from tests.contract.keys import FIELDS, moment
from tests.contract.people import Session

NO_IDS = ("", "not-an-id", UNKNOWN.upper(), UNKNOWN + "0", "%00", "..%2F..", "x" * 300)


async def change(api: Api, session: Session, key_id: str, **changes: object) -> dict[str, Any]:
    answer = await api.patch(f"/api-keys/{key_id}", changes, bearer=session.token)
    changed: dict[str, Any] = accepted(answer)["apiKey"]
    return changed


async def test_keys_are_listed_newest_first_without_the_keys(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    listed = accepted(await timed.api.get("/api-keys", bearer=session.token))
    assert listed == {"apiKeys": [], "total": 0, "nextCursor": None}
    made = []
    for number in range(3):
        made.append(await create_key(timed.api, session, name=str(number)))
        timed.time.advance(seconds=1)
    listed = await listed_keys(timed.api, session)
    assert [key["name"] for key in listed] == ["2", "1", "0"]
    for key, shown in zip(listed, reversed(made), strict=True):
        assert set(key) >= FIELDS - {"key"}
        assert "key" not in key
        assert {name: key[name] for name in FIELDS - {"key"}} == {
            name: shown[name] for name in FIELDS - {"key"}
        }
        read = accepted(await timed.api.get(f"/api-keys/{key['id']}", bearer=session.token))
        assert read == {"apiKey": key}


async def test_list_can_be_kept_to_one_organization(live: Live) -> None:
    _, session = await live.people.newcomer()
    acme, other = (
        await create_organization(live.api, session, "Acme"),
        await create_organization(live.api, session, "Other"),
    )
    of_acme = await create_key(live.api, session, organizationId=acme)
    await create_key(live.api, session, organizationId=other)
    await create_key(live.api, session)
    assert len(await listed_keys(live.api, session)) == 3
    listed = await listed_keys(live.api, session, f"?organizationId={acme}")
    assert [key["id"] for key in listed] == [of_acme["id"]]
    assert listed[0]["organizationId"] == acme
    assert await listed_keys(live.api, session, f"?organizationId={UNKNOWN}") == []
    for odd in ("%ED%A0%80", "x" * 64, "%F0%9F%94%91"):
        assert await listed_keys(live.api, session, f"?organizationId={odd}") == []
    answer = await live.api.get("/api-keys?organizationId=%00", bearer=session.token)
    refused(answer, 400, "VALIDATION_ERROR")


async def test_other_peoples_keys_cannot_be_distinguished_from_none(live: Live) -> None:
    _, owner = await live.people.newcomer()
    _, stranger = await live.people.newcomer()
    key = await create_key(live.api, owner, scopes=["a:b"])

    async def try_all(key_id: str) -> list[Any]:
        return [
            await live.api.get(f"/api-keys/{key_id}", bearer=stranger.token),
            await live.api.patch(f"/api-keys/{key_id}", {"enabled": False}, bearer=stranger.token),
            await live.api.post(f"/api-keys/{key_id}/rotate", {}, bearer=stranger.token),
            await live.api.delete(f"/api-keys/{key_id}", bearer=stranger.token),
        ]

    foreign, unknown = await try_all(key["id"]), await try_all(UNKNOWN)
    for one, other in zip(foreign, unknown, strict=True):
        refused(one, 404, "NOT_FOUND")
        assert one.content == other.content
        assert dict(one.headers) | {"date": ""} == dict(other.headers) | {"date": ""}
    assert await listed_keys(live.api, stranger) == []
    assert await is_accepted(live.api, key["key"])


async def test_what_is_no_id_is_not_found(live: Live) -> None:
    _, session = await live.people.newcomer()
    for text in NO_IDS[1:]:
        for answer in (
            await live.api.get(f"/api-keys/{text}", bearer=session.token),
            await live.api.patch(f"/api-keys/{text}", {"name": "x"}, bearer=session.token),
            await live.api.post(f"/api-keys/{text}/rotate", {}, bearer=session.token),
            await live.api.delete(f"/api-keys/{text}", bearer=session.token),
        ):
            refused(answer, 404, "NOT_FOUND")


# --- changing --------------------------------------------------------------------------------------------------------
async def test_name_metadata_and_expiry_are_changed_and_the_rest_stays(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b"], metadata={"old": 1}, expiresIn=3600)
    timed.time.advance(seconds=1)
    later = moment(timed.time.now + timedelta(days=3))
    changed = await change(
        timed.api, session, key["id"], name=" renamed ", metadata={"new": [2]}, expiresAt=later
    )
    expected = {"name": "renamed", "metadata": {"new": [2]}, "expiresAt": later}
    assert {name: changed[name] for name in expected} == expected
    kept = FIELDS - {"key", *expected}
    assert {name: changed[name] for name in kept} == {name: key[name] for name in kept}
    timed.time.advance(seconds=3600)
    assert await is_accepted(timed.api, key["key"])
    assert (await change(timed.api, session, key["id"], metadata=None))["metadata"] is None
    assert (await change(timed.api, session, key["id"], expiresAt=None))["expiresAt"] is None
    timed.time.advance(days=4)
    assert await is_accepted(timed.api, key["key"])


async def test_disabled_key_is_refused_until_it_is_enabled_again(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for enabled in (False, True, False, True):
        assert (await change(timed.api, session, key["id"], enabled=enabled))["enabled"] is enabled
        assert await is_accepted(timed.api, key["key"]) is enabled


async def test_scopes_are_narrowed_at_the_next_request_and_never_widened(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:read", "b:read", "c:read"])

    async def widen(*scopes: str) -> None:
        answer = await timed.api.patch(f"/api-keys/{key['id']}", {"scopes": scopes}, bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")

    await widen("a:read", "b:read", "c:read", "d:read")
    await widen("d:read")
    assert (await principal_of(timed.api, key["key"]))["scopes"] == ["a:read", "b:read", "c:read"]
    for narrower in (["c:read", "a:read"], ["a:read"], []):
        changed = await change(timed.api, session, key["id"], scopes=narrower)
        assert changed["scopes"] == sorted(narrower)
        assert (await principal_of(timed.api, key["key"]))["scopes"] == sorted(narrower)
        await widen("a:read", "b:read")
    await widen("a:read")


async def test_expired_key_cannot_be_revived(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, expiresIn=60)
    timed.time.advance(seconds=60)
    for revival in (
        {"expiresAt": moment(timed.time.now + timedelta(days=1))},
        {"expiresAt": None},
        {"expiresAt": None, "enabled": True, "name": "again"},
    ):
        answer = await timed.api.patch(f"/api-keys/{key['id']}", revival, bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")
    await change(timed.api, session, key["id"], enabled=True, name="still dead")
    assert not await is_accepted(timed.api, key["key"])
    answer = await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token)
    refused(answer, 404, "NOT_FOUND")


async def test_expiry_is_moved_within_the_same_bounds_as_at_creation(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    key = await create_key(timed_sqlite.api, session)
    now = timed_sqlite.time.now
    in_ten_years = now.replace(year=now.year + 10)
    for end in (now, now - timedelta(days=1), in_ten_years + timedelta(seconds=1)):
        answer = await timed_sqlite.api.patch(
            f"/api-keys/{key['id']}", {"expiresAt": moment(end)}, bearer=session.token
        )
        refused(answer, 400, "VALIDATION_ERROR")
    assert await is_accepted(timed_sqlite.api, key["key"])
    await change(timed_sqlite.api, session, key["id"], expiresAt=moment(in_ten_years))
    await change(timed_sqlite.api, session, key["id"], expiresAt=moment(now + timedelta(milliseconds=1)))
    timed_sqlite.time.advance(milliseconds=1)
    assert not await is_accepted(timed_sqlite.api, key["key"])


async def test_nothing_else_can_be_changed(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    victim, _ = await live_sqlite.people.newcomer()
    key = await create_key(live_sqlite.api, session, scopes=["a:b"])
    before = await listed_keys(live_sqlite.api, session)
    attempts: tuple[object, ...] = (
        {"userId": victim.id},
        {"ownerId": victim.id},
        {"organizationId": UNKNOWN},
        {"key": "czo_"},
        {"prefix": "czo_0000"},
        {"expiresIn": 60},
        {"lastUsedAt": "2031-01-01T00:00:00.000Z"},
        {"actorType": "admin"},
        {"enabled": "false"},
        {"enabled": 0},
        {"enabled": None},
        {"name": None},
        {"scopes": None},
        {"name": ""},
        {"scopes": "a:b"},
        {"metadata": []},
        {"expiresAt": "never"},
        [],
        "text",
    )
    for odd in attempts:
        answer = await live_sqlite.api.patch(f"/api-keys/{key['id']}", odd, bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")
    assert await listed_keys(live_sqlite.api, session) == before


# --- revoking --------------------------------------------------------------------------------------------------------
async def test_revoked_key_is_gone_for_good(live: Live) -> None:
    _, session = await live.people.newcomer()
    key, other = await create_key(live.api, session), await create_key(live.api, session)
    assert await is_accepted(live.api, key["key"])
    accepted(await live.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    assert not await is_accepted(live.api, key["key"])
    for answer in (
        await live.api.delete(f"/api-keys/{key['id']}", bearer=session.token),
        await live.api.get(f"/api-keys/{key['id']}", bearer=session.token),
        await live.api.patch(f"/api-keys/{key['id']}", {"enabled": True}, bearer=session.token),
        await live.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token),
    ):
        refused(answer, 404, "NOT_FOUND")
    assert [left["id"] for left in await listed_keys(live.api, session)] == [other["id"]]
    assert await is_accepted(live.api, other["key"])
    assert not await is_accepted(live.api, key["key"])


async def test_of_revocations_at_once_one_succeeds(live: Live) -> None:
    _, session = await live.people.newcomer()
    key = await create_key(live.api, session)
    answers = await asyncio.gather(
        *(live.api.delete(f"/api-keys/{key['id']}", bearer=session.token) for _ in range(16))
    )
    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 15}


async def test_end_of_the_session_that_made_it_leaves_a_key_alone(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    key = await create_key(live_sqlite.api, session)
    accepted(await live_sqlite.api.post("/sign-out", {}, bearer=session.token))
    assert await is_accepted(live_sqlite.api, key["key"])
