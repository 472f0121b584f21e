"""Uses of API keys that their owners can see (contract part two, section 18; S19)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from czo_auth.asgi.authentication import AuthMiddleware
from czo_auth.asgi.timestamps import format_timestamp
from czo_auth.core.errors import StorageUnavailable
from czo_auth.storage.sqlite_file import TIMEOUT_SECONDS
from tests.contract.acting import UNKNOWN, create_key, create_organization, graphql, listed_keys
from tests.contract.addresses import OFFICE, PROXY, STREET, host, via
from tests.contract.api import Answer, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.organizations import acme_of
from tests.contract.people import Session
from tests.support.settings import HERE

TODAY = "2025-03-06"
"""When the clock of `timed` begins."""


async def flush(timed: Timed) -> None:
    await timed.runtime._housekeeping.flush_key_uses()


async def days(timed: Timed, session: Session, key: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    """Give the days of a key after what waits was written."""
    await flush(timed)
    body = accepted(await timed.api.get(f"/api-keys/{key['id']}/usage{query}", bearer=session.token))
    assert set(body) == {"usage", "total"}
    assert body["total"] == len(body["usage"])
    usage: list[dict[str, Any]] = body["usage"]
    return usage


async def use(timed: Timed, key: dict[str, Any], *addresses: str) -> Answer:
    return await timed.api.get("/whoami", bearer=key["key"], headers=via(*addresses) if addresses else None)


async def test_every_use_is_counted_and_shown(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    assert (key["useCount"], key["lastUsedIp"]) == (0, None)
    assert await days(timed, session, key) == []
    for _ in range(3):
        accepted(await use(timed, key))
    assert await days(timed, session, key) == [{"day": TODAY, "used": 3, "refused": 0}]
    accepted(await use(timed, key))
    timed.time.advance(days=2)
    accepted(await use(timed, key))
    assert await days(timed, session, key) == [
        {"day": TODAY, "used": 4, "refused": 0},
        {"day": "2025-03-08", "used": 1, "refused": 0},
    ]
    (listed,) = await listed_keys(timed.api, session)
    assert listed["useCount"] == 5
    record = accepted(await timed.api.get(f"/api-key/get?id={key['id']}", bearer=session.token))
    assert record["requestCount"] == 5
    asked = {"query": "{ myApiKeys { useCount lastUsedIp quotaMax quotaPeriod } }"}
    async with new_client(HERE, transport=httpx.ASGITransport(timed.runtime.graphql)) as http:
        answer = await http.post("/", json=asked, headers={"authorization": f"Bearer {session.token}"})
    assert answer.json()["data"]["myApiKeys"] == [
        {"useCount": 5, "lastUsedIp": "127.0.0.0/24", "quotaMax": None, "quotaPeriod": None}
    ]


@pytest.mark.deep
async def test_counts_survive_a_database_that_cannot_be_written(timed_sqlite: Timed) -> None:
    """S19: neither does it fail or delay a request, nor is a use lost or counted twice."""
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    accepted(await use(timed, key))
    path = make_url(timed.runtime.settings.storage_url).database
    with closing(sqlite3.connect(str(path), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                await flush(timed)
            accepted(await use(timed, key))
        other.execute("ROLLBACK")
    assert await days(timed, session, key) == [{"day": TODAY, "used": 3, "refused": 0}]


@pytest.mark.deep
async def test_last_uses_are_written_at_the_end_although_another_process_writes(
    deploy_sqlite: Deploy,
) -> None:
    timed = await deploy_sqlite()
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for _ in range(3):
        accepted(await use(timed, key))
    path = str(make_url(timed.runtime.settings.storage_url).database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stopping = asyncio.create_task(timed.runtime.stop())
        # Longer than a write waits for its turn: the first try fails.
        await asyncio.sleep(TIMEOUT_SECONDS + 0.5)
        other.execute("ROLLBACK")
        await stopping
    url = timed.runtime.settings.storage_url
    assert await sql(url, "SELECT use_count FROM {}api_keys WHERE id = $1", key["id"]) == [(3,)]


async def test_what_is_refused_of_a_known_key_is_counted_apart(deploy: Deploy) -> None:
    timed = await deploy(trusted_proxies=PROXY)
    _, session = await timed.people.newcomer()
    key = await create_key(
        timed.api,
        session,
        allowedIps=[OFFICE],
        rateLimitMax=1,
        rateLimitTimeWindow=86_400_000,
        expiresIn=7200,
    )
    refused(await use(timed, key, STREET), 403, "IP_ADDRESS_NOT_ALLOWED")
    accepted(await use(timed, key, OFFICE))
    refused(await use(timed, key, OFFICE), 429, "RATE_LIMIT_EXCEEDED")
    assert await days(timed, session, key) == [{"day": TODAY, "used": 1, "refused": 2}]
    path = f"/api-keys/{key['id']}"
    accepted(await timed.api.patch(path, {"enabled": False}, bearer=session.token))
    refused(await use(timed, key, OFFICE), 401, "INVALID_API_KEY")
    accepted(await timed.api.patch(path, {"enabled": True}, bearer=session.token))
    timed.time.advance(hours=2)
    refused(await use(timed, key, OFFICE), 401, "INVALID_API_KEY")
    assert await days(timed, session, key) == [{"day": TODAY, "used": 1, "refused": 4}]


async def test_key_that_ended_or_is_unknown_counts_nowhere(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key, other = [await create_key(timed.api, session) for _ in range(2)]
    accepted(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    refused(await use(timed, key), 401, "INVALID_API_KEY")
    refused(await timed.api.get("/whoami", bearer="czo_" + "A" * 43), 401, "INVALID_API_KEY")
    # Where no credential is needed a key is not used.
    await timed.api.get("/jwks", bearer=other["key"])
    assert await days(timed, session, other) == []
    refused(await timed.api.get(f"/api-keys/{key['id']}/usage", bearer=session.token), 404, "NOT_FOUND")


async def test_days_are_asked_for_by_date(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for _ in range(3):
        accepted(await use(timed, key))
        timed.time.advance(days=1)
    asked = {
        "?from=2025-03-07": ["2025-03-07", "2025-03-08"],
        "?to=2025-03-07": ["2025-03-06", "2025-03-07"],
        "?from=2025-03-07&to=2025-03-07": ["2025-03-07"],
        "?from=2030-01-01&to=2030-01-02": [],
        "?from=0001-01-01&to=9999-12-31": ["2025-03-06", "2025-03-07", "2025-03-08"],
    }
    for query, expected in asked.items():
        assert [each["day"] for each in await days(timed, session, key, query)] == expected, query
    wrong = (
        "from=2025-03-08&to=2025-03-07",
        "from=yesterday",
        "to=2025-02-30",
        "to=20250307",
        "from=",
        "days=3",
    )
    for query in (*wrong, "from=2025-03-07T00:00:00Z", "from=-1", "to=1741300000"):
        answer = await timed.api.get(f"/api-keys/{key['id']}/usage?{query}", bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")


async def test_days_are_kept_for_400_days(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)

    async def kept() -> list[str]:
        found = await timed.runtime.key_usage.of_any(key["id"], now=timed.time.now)
        everything = await timed.runtime.key_usage.of_any(key["id"], first=date.min, now=timed.time.now)
        assert found == everything
        return [each.day.isoformat() for each in found]

    accepted(await use(timed, key))
    await flush(timed)
    timed.time.advance(days=399)
    await timed.runtime._housekeeping.tidy()
    assert await kept() == [TODAY]
    timed.time.advance(days=1)
    await timed.runtime._housekeeping.tidy()
    assert await kept() == []


async def test_days_are_the_owners_to_see(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    _, stranger = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    path = f"/api-keys/{key['id']}/usage"
    refused(await timed.api.get(path, bearer=stranger.token), 404, "NOT_FOUND")
    refused(await timed.api.get(path), 401, "UNAUTHORIZED")
    refused(await timed.api.get(path, bearer=key["key"]), 403, "SESSION_REQUIRED")
    for key_id in (UNKNOWN, "nothing"):
        refused(await timed.api.get(f"/api-keys/{key_id}/usage", bearer=session.token), 404, "NOT_FOUND")


async def test_network_of_the_last_use_is_shown_and_nothing_closer(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite(trusted_proxies=PROXY)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for address, network in (
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:7:8:9::1", "2001:db8:7::/48"),
        ("::ffff:198.51.100.9", "198.51.100.0/24"),
    ):
        accepted(await use(timed, key, address))
        await flush(timed)
        (listed,) = await listed_keys(timed.api, session)
        assert listed["lastUsedIp"] == network
        timed.time.advance(minutes=1)
    export = accepted(await timed.api.get("/user/export", bearer=session.token))
    (exported,) = export["apiKeys"]
    assert (exported["lastUsedIp"], exported["useCount"]) == ("198.51.100.0/24", 3)
    assert exported["usage"] == [{"day": TODAY, "used": 3, "refused": 0}]
    assert "203.0.113.77" not in json.dumps(export["apiKeys"])


async def test_addresses_can_be_left_unrecorded(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite()
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    accepted(await use(timed, key))
    await flush(timed)
    assert (await listed_keys(timed.api, session))[0]["lastUsedIp"] == "127.0.0.0/24"
    silent = await deploy_sqlite(
        database_url=timed.runtime.settings.database_url, now=timed.time.now, record_key_addresses=False
    )
    await silent.runtime._housekeeping.forget_key_addresses()
    assert (await listed_keys(timed.api, session))[0]["lastUsedIp"] is None
    silent.time.advance(minutes=2)
    accepted(await use(silent, key))
    await flush(silent)
    (listed,) = await listed_keys(timed.api, session)
    assert (listed["lastUsedIp"], listed["useCount"]) == (None, 2)


async def test_rotation_carries_the_count_over(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    accepted(await use(timed, key))
    await flush(timed)
    rotated = accepted(await timed.api.post(f"/api-keys/{key['id']}/rotate", {}, bearer=session.token), 201)
    assert rotated["apiKey"]["useCount"] == 1
    assert await days(timed, session, rotated["apiKey"]) == []


async def test_keys_that_nobody_used_for_a_time_are_found(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite()
    account, session = await timed.people.newcomer()
    used, idle = [await create_key(timed.api, session, name=name) for name in ("used", "idle")]
    timed.time.advance(days=2)
    fresh = await create_key(timed.api, session, name="fresh")
    accepted(await use(timed, used))
    await flush(timed)
    since = "?unusedSince=2025-03-07T00:00:00.000Z"
    assert [key["id"] for key in await listed_keys(timed.api, session, since)] == [idle["id"]]
    later = await listed_keys(timed.api, session, "?unusedSince=2025-03-08T09:00:00.001Z")
    assert {key["id"] for key in later} == {used["id"], idle["id"], fresh["id"]}
    admin = await timed.people.sign_in(timed.ada, "admin")
    for path in (f"/admin/users/{account.id}/api-keys", "/admin/api-keys"):
        found = accepted(await timed.api.get(f"{path}{since}", bearer=admin.token))
        assert ([key["id"] for key in found["apiKeys"]], found["total"]) == ([idle["id"]], 1)
    refused(
        await timed.api.get("/api-keys?unusedSince=2025-03-07", bearer=session.token), 400, "VALIDATION_ERROR"
    )


async def test_graphql_finds_keys_that_nobody_used_for_a_time(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    organization = await create_organization(timed_sqlite.api, session)
    used, idle = [
        await create_key(timed_sqlite.api, session, name=name, organizationId=organization)
        for name in ("used", "idle")
    ]
    timed_sqlite.time.advance(days=2)
    accepted(await use(timed_sqlite, used))
    await flush(timed_sqlite)
    since = format_timestamp(timed_sqlite.time.now - timedelta(days=1))

    own = f'{{ myApiKeys(unusedSince: "{since}") {{ id }} }}'
    theirs = f'{{ organization(id: "{organization}") {{ apiKeys(unusedSince: "{since}") {{ id }} }} }}'
    answer = (await graphql(timed_sqlite, own, session.token)).json()
    assert answer == {"data": {"myApiKeys": [{"id": idle["id"]}]}}
    answer = (await graphql(timed_sqlite, theirs, session.token)).json()
    assert answer == {"data": {"organization": {"apiKeys": [{"id": idle["id"]}]}}}
    wrong = await graphql(timed_sqlite, own.replace(since, "2025-03-07"), session.token)
    assert wrong.status_code == 400
    assert "2025-03-07" not in wrong.text
    body = {"query": "query Idle($since: DateTime) { myApiKeys(unusedSince: $since) { id } }"}
    async with new_client(HERE, transport=httpx.ASGITransport(timed_sqlite.runtime.graphql)) as http:
        headers = {"authorization": f"Bearer {session.token}"}
        for value, status in ((since, 200), (None, 200), ("yesterday", 400), (5, 400), ("x" * 5000, 400)):
            answer = await http.post(
                "/graphql", json={**body, "variables": {"since": value}}, headers=headers
            )
            assert answer.status_code == status, answer.text
            if status == 200:
                ids = {key["id"] for key in answer.json()["data"]["myApiKeys"]}
                assert ids == ({idle["id"]} if value else {idle["id"], used["id"]})
            else:
                assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_one_request_is_one_use_however_many_applications_it_passes(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, rateLimitMax=100)
    behind = AuthMiddleware(timed.runtime.graphql, auth=timed.runtime)
    headers = {"authorization": f"Bearer {key['key']}"}
    async with new_client(HERE, transport=httpx.ASGITransport(behind)) as http:  # type: ignore[arg-type]
        answer = await http.post("/", json={"query": "{ me { id } }"}, headers=headers)
    assert answer.status_code == 200
    assert answer.headers.get_list("ratelimit") == ['"rate-limit";r=99;t=60']
    async with new_client(
        HERE, transport=httpx.ASGITransport(AuthMiddleware(host, auth=timed.runtime))
    ) as http:  # type: ignore[arg-type]
        assert (await http.get("/", headers=headers)).status_code == 200
    assert await days(timed, session, key) == [{"day": TODAY, "used": 2, "refused": 0}]


@pytest.mark.parametrize("grant", ["verify", "introspect", "forward-auth", "exchange"])
async def test_every_way_of_asking_about_a_key_is_a_use_of_it(timed_sqlite: Timed, grant: str) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    admin = await timed.people.sign_in(timed.ada, "admin")
    service = await create_key(timed.api, admin, scopes=["api-keys:verify"])
    if grant == "verify":
        asked = await timed.api.post("/api-keys/verify", {"key": key["key"]}, bearer=service["key"])
    elif grant == "introspect":
        asked = await timed.api.post("/introspect", {"token": key["key"]}, bearer=service["key"])
    elif grant == "forward-auth":
        asked = await timed.api.get("/forward-auth", bearer=key["key"])
    else:
        body = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": key["key"],
            "subject_token_type": "urn:czo-auth:token-type:api-key",
        }
        asked = await timed.api.post("/token/exchange", body)
        token = asked.json()["access_token"]
        accepted(await timed.api.get("/whoami", bearer=token))
    assert asked.status_code == 200
    used = 2 if grant == "exchange" else 1
    assert await days(timed, session, key) == [{"day": TODAY, "used": used, "refused": 0}]


async def test_uses_of_a_service_accounts_key_are_the_organizations_to_see(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    acme = await acme_of(timed)
    first, other = await acme.create(), await acme.create(name="other")
    key = await acme.key(first["id"], quotaMax=2, quotaPeriod="month")
    assert (key["quotaMax"], key["quotaPeriod"]) == (2, "month")
    path = f"/api-keys/{key['id']}/usage"
    body = {"overlapSeconds": 600}
    rotated = await timed.api.post(f"{acme.path}/api-keys/{key['id']}/rotate", body, bearer=acme.owner.token)
    successor = accepted(rotated, 201)["apiKey"]
    for each in (key, successor):
        accepted(await use(timed, each))
    refused(await use(timed, key), 429, "QUOTA_EXCEEDED")
    await flush(timed)
    for session in (acme.owner, acme.admin):
        shown = accepted(await timed.api.get(f"{acme.accounts}/{first['id']}{path}", bearer=session.token))
        assert shown == {"usage": [{"day": TODAY, "used": 1, "refused": 1}], "total": 1}
    narrowed = f"{acme.accounts}/{first['id']}{path}?to=2025-03-05"
    assert accepted(await timed.api.get(narrowed, bearer=acme.owner.token))["total"] == 0
    wrong = f"{acme.accounts}/{first['id']}{path}?from=2025-03-07&to=2025-03-05"
    refused(await timed.api.get(wrong, bearer=acme.owner.token), 400, "VALIDATION_ERROR")
    _, stranger = await timed.people.newcomer()
    for session, where, status in (
        (acme.owner, f"{acme.accounts}/{other['id']}{path}", 404),
        (acme.owner, f"{acme.accounts}/{UNKNOWN}{path}", 404),
        (acme.owner, f"{acme.accounts}/{first['id']}/api-keys/{UNKNOWN}/usage", 404),
        (acme.owner, path, 404),
        (stranger, f"{acme.accounts}/{first['id']}{path}", 404),
    ):
        answer = await timed.api.get(where, bearer=session.token)
        assert answer.status_code in (status, 403), where
        assert "usage" not in answer.json()


async def test_asking_about_a_token_is_one_use_of_the_key_that_asks(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    admin = await timed.people.sign_in(timed.ada, "admin")
    service = await create_key(timed.api, admin, scopes=["api-keys:verify"])
    headers = {
        "authorization": f"Bearer {service['key']}",
        "content-type": "application/x-www-form-urlencoded",
    }
    bodies = ("token=x", "token=x", "token=x&token_type_hint=access_token", "token=%C3%A4", "nothing=1")
    for body in bodies:
        await timed.api.http.post("/api/auth/introspect", content=body, headers=headers)
    assert await days(timed, admin, service) == [{"day": TODAY, "used": len(bodies), "refused": 0}]
