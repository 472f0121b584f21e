"""API keys by the calls of better-auth's client (better-auth-wire, "API keys")."""

from __future__ import annotations

import pytest

from tests.contract.acting import UNKNOWN, create_key, is_accepted, listed_keys
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.keys import KEY
from tests.contract.people import Session

RECORD = {
    *("id", "name", "start", "prefix", "userId", "referenceId", "configId", "enabled", "expiresAt"),
    *("createdAt", "updatedAt", "lastRequest", "requestCount", "remaining", "rateLimitEnabled"),
    *("rateLimitMax", "rateLimitTimeWindow", "refillAmount", "refillInterval", "lastRefillAt"),
    *("permissions", "metadata"),
}
DAY = 86_400


async def call(live: Live, session: Session, what: str, **body: object) -> object:
    return accepted(await live.api.post(f"/api-key/{what}", body, bearer=session.token))


async def test_key_is_made_read_changed_and_deleted(live: Live) -> None:
    account, session = await live.people.newcomer()
    made = accepted(
        await live.api.post(
            "/api-key/create",
            {"name": "ci", "expiresIn": DAY, "metadata": {"m": 1}, "prefix": "czo_", "fetchOptions": {}},
            bearer=session.token,
        )
    )
    assert set(made) >= RECORD | {"key"}
    key = made.pop("key")
    assert KEY.fullmatch(key)
    assert (made["start"], made["prefix"], made["userId"]) == (key[:6], "czo_", account.id)
    assert await is_accepted(live.api, key)
    assert [shown["id"] for shown in await listed_keys(live.api, session)] == [made["id"]]
    read = accepted(await live.api.get(f"/api-key/get?id={made['id']}", bearer=session.token))
    assert read == made
    listed = accepted(await live.api.get("/api-key/list?limit=5&offset=0", bearer=session.token))
    assert listed == {"apiKeys": [made], "total": 1, "limit": 5, "offset": 0}
    changed = accepted(
        await live.api.post(
            "/api-key/update", {"keyId": made["id"], "name": "cd", "enabled": False}, bearer=session.token
        )
    )
    assert (changed["name"], changed["enabled"]) == ("cd", False)
    assert not await is_accepted(live.api, key)
    delete = {"keyId": made["id"]}
    assert await call(live, session, "delete", **delete) == {"success": True}
    refused(await live.api.post("/api-key/delete", delete, bearer=session.token), 404, "KEY_NOT_FOUND")
    answer = await live.api.get(f"/api-key/get?id={made['id']}", bearer=session.token)
    refused(answer, 404, "KEY_NOT_FOUND")


async def test_refusals_are_those_that_the_client_knows(live_sqlite: Live) -> None:
    api = live_sqlite.api
    victim, victims = await live_sqlite.people.newcomer()
    _, session = await live_sqlite.people.newcomer()
    foreign = await create_key(api, victims)
    for body, status, code in (
        ({"userId": victim.id}, 401, "UNAUTHORIZED_SESSION"),
        ({"referenceId": victim.id}, 401, "UNAUTHORIZED_SESSION"),
        ({"ownerId": victim.id}, 401, "UNAUTHORIZED_SESSION"),
        ({"remaining": 5}, 400, "SERVER_ONLY_PROPERTY"),
        ({"refillAmount": 5}, 400, "SERVER_ONLY_PROPERTY"),
        ({"rateLimitEnabled": False}, 400, "SERVER_ONLY_PROPERTY"),
        ({"permissions": {"files": ["read"]}}, 400, "SERVER_ONLY_PROPERTY"),
        ({"createdAt": "2031-01-01T00:00:00.000Z"}, 400, "SERVER_ONLY_PROPERTY"),
        ({"name": ""}, 400, "INVALID_NAME_LENGTH"),
        ({"name": "x" * 201}, 400, "INVALID_NAME_LENGTH"),
        ({"prefix": "sk_"}, 400, "INVALID_PREFIX_LENGTH"),
        ({"expiresIn": DAY - 1}, 400, "EXPIRES_IN_IS_TOO_SMALL"),
        ({"expiresIn": -1}, 400, "EXPIRES_IN_IS_TOO_SMALL"),
        ({"expiresIn": 3660 * DAY}, 400, "EXPIRES_IN_IS_TOO_LARGE"),
        ({"expiresIn": 10**12}, 400, "EXPIRES_IN_IS_TOO_LARGE"),
        ({"expiresIn": "soon"}, 400, "VALIDATION_ERROR"),
        ({"metadata": []}, 400, "VALIDATION_ERROR"),
    ):
        refused(await api.post("/api-key/create", body, bearer=session.token), status, code)
    assert await listed_keys(api, session) == []
    for key_id in (foreign["id"], UNKNOWN, "none", "%00"):
        update = {"keyId": key_id, "enabled": False}
        refused(await api.post("/api-key/update", update, bearer=session.token), 404, "KEY_NOT_FOUND")
        refused(await api.post("/api-key/delete", update, bearer=session.token), 404, "KEY_NOT_FOUND")
    refused(await api.get(f"/api-key/get?id={foreign['id']}", bearer=session.token), 404, "KEY_NOT_FOUND")
    empty = await api.post("/api-key/update", {"keyId": foreign["id"]}, bearer=victims.token)
    refused(empty, 400, "NO_VALUES_TO_UPDATE")
    assert await is_accepted(api, foreign["key"])


async def test_unused_properties_may_be_sent_as_null(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    body = {"name": "ci", "remaining": None, "permissions": None, "userId": None, "configId": "default"}
    accepted(await live_sqlite.api.post("/api-key/create", body, bearer=session.token))


@pytest.mark.parametrize("field", ["createdAt", "name", "expiresAt"])
async def test_keys_are_listed_in_the_order_that_was_asked_for(live_sqlite: Live, field: str) -> None:
    _, session = await live_sqlite.people.newcomer()
    for number, name in enumerate(("b", "c", "a"), start=1):
        await call(live_sqlite, session, "create", name=name, expiresIn=(4 - number) * DAY)
    names = {}
    for direction in ("asc", "desc"):
        query = f"sortBy={field}&sortDirection={direction}"
        listed = accepted(await live_sqlite.api.get(f"/api-key/list?{query}", bearer=session.token))
        names[direction] = [key["name"] for key in listed["apiKeys"]]
    assert (
        names["asc"]
        == {
            "createdAt": ["b", "c", "a"],
            "name": ["a", "b", "c"],
            "expiresAt": ["a", "c", "b"],
        }[field]
    )
    assert names["desc"] == names["asc"][::-1]
    page = await live_sqlite.api.get("/api-key/list?limit=1&offset=1", bearer=session.token)
    shown = accepted(page)
    assert (len(shown["apiKeys"]), shown["total"], shown["limit"], shown["offset"]) == (1, 3, 1, 1)
    for odd in ("limit=0", "limit=x", "offset=-1", "sortBy=digest", "sortDirection=up"):
        answer = await live_sqlite.api.get(f"/api-key/list?{odd}", bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")
