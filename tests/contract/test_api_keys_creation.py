"""Creating API keys (docs/reference/rest.md; S15, S16, S20)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from czo_auth.core.transaction import Transaction
from tests.contract.acting import (
    UNKNOWN,
    administrator,
    create_key,
    digest,
    is_accepted,
    listed_keys,
    principal_of,
)
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.database import everything, sql
from tests.contract.deployments import Timed
from tests.contract.keys import FIELDS, KEY, moment
from tests.contract.people import Account, Session
from tests.support.records import a_key

Carry = Callable[[Session], dict[str, Any]]


async def test_key_is_shown_once_and_has_the_form_of_the_contract(live: Live) -> None:
    _, session = await live.people.newcomer()
    answer = await live.api.post("/api-keys", {"name": "  deploy  "}, bearer=session.token)
    body = accepted(answer, 201)
    assert set(body) == {"apiKey"}
    shown = body["apiKey"]
    assert set(shown) >= FIELDS
    key = shown["key"]
    assert KEY.fullmatch(key)
    assert shown["prefix"] == key[:8]
    plain = {name: shown[name] for name in FIELDS - {"id", "key", "prefix", "createdAt"}}
    assert plain == {
        "name": "deploy",
        "organizationId": None,
        "scopes": [],
        "metadata": None,
        "enabled": True,
        "expiresAt": None,
        "lastUsedAt": None,
    }
    seen_again = [
        await live.api.get("/api-keys", bearer=session.token),
        await live.api.get(f"/api-keys/{shown['id']}", bearer=session.token),
        await live.api.patch(f"/api-keys/{shown['id']}", {"name": "renamed"}, bearer=session.token),
        await live.api.get("/api-key/list", bearer=session.token),
        await live.api.get("/whoami", bearer=key),
    ]
    for again in seen_again:
        assert again.status_code == 200
        assert key[8:] not in again.text
        assert '"key"' not in again.text
        assert digest(key) not in again.text


async def test_database_holds_the_digest_and_nothing_else_of_the_key(live: Live) -> None:
    _, session = await live.people.newcomer()
    shown = await create_key(live.api, session)
    key = shown["key"]
    assert await is_accepted(live.api, key)
    stored = await sql(
        live.served.database_url, "SELECT digest, prefix FROM {}api_keys WHERE id = $1", shown["id"]
    )
    assert stored == [(digest(key), key[:8])]
    stored = await everything(live.served.database_url)
    assert shown["id"] in stored
    assert key[8:] not in stored


async def test_two_rows_cannot_share_a_digest(live: Live) -> None:
    _, session = await live.people.newcomer()
    one, other = await create_key(live.api, session), await create_key(live.api, session)
    with pytest.raises(Exception, match=r"(?i)unique"):
        await sql(
            live.served.database_url,
            "UPDATE {}api_keys SET digest = $1 WHERE id = $2",
            digest(one["key"]),
            other["id"],
        )


async def test_keys_are_canonical_and_never_alike(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    keys = [(await create_key(timed_sqlite.api, session))["key"] for _ in range(40)]
    assert all(KEY.fullmatch(key) for key in keys)
    assert len({key[4:] for key in keys}) == 40
    # Forty keys that all spelled the last bits differently by chance alone: one in 10^24.
    assert len({key[-1] for key in keys}) > 3


async def test_every_way_to_carry_a_session_creates_keys_and_no_other_credential_does(
    live_sqlite: Live, carried: Carry
) -> None:
    account, session = await live_sqlite.people.newcomer()
    made = await live_sqlite.api.post("/api-keys", {"name": "a key"}, **carried(session))
    key = accepted(made, 201)["apiKey"]["key"]
    assert (await principal_of(live_sqlite.api, key))["userId"] == account.id
    body = {"name": "another"}
    refused(await live_sqlite.api.post("/api-keys", body), 401, "UNAUTHORIZED")
    refused(await live_sqlite.api.post("/api-keys", body, bearer=key), 403, "SESSION_REQUIRED")
    refused(await live_sqlite.api.post("/api-keys", body, bearer=session.refresh_token), 401, "INVALID_TOKEN")
    assert len(await listed_keys(live_sqlite.api, session)) == 1


async def test_key_reports_the_actor_type_of_the_session_that_made_it(live_sqlite: Live) -> None:
    account = await live_sqlite.people.sign_up("merchant")
    for actor in ("customer", "merchant"):
        session = await live_sqlite.people.sign_in(account, actor)
        shown = await create_key(live_sqlite.api, session)
        principal = await principal_of(live_sqlite.api, shown["key"])
        assert principal == {
            "kind": "api_key",
            "userId": account.id,
            "actorType": actor,
            "organizationId": None,
            "aal": 1,
            "amr": [],
            "scopes": [],
            "apiKeyId": shown["id"],
            "restrictedTo": None,
            "phishingResistant": False,
        }


# --- the body --------------------------------------------------------------------------------------------------------
OWNERS = ("userId", "user_id", "ownerId", "owner", "referenceId", "actorType")
SERVER_SIDE = ("id", "key", "prefix", "digest", "enabled", "createdAt", "lastUsedAt", "expires_at", "unknown")


async def test_owner_in_the_body_is_refused_and_not_ignored(live_sqlite: Live) -> None:
    victim, _ = await live_sqlite.people.newcomer()
    _, session = await live_sqlite.people.newcomer()
    for field in OWNERS:
        assert await _refused_fields(live_sqlite, session, {field: victim.id}) == [field]


async def test_field_that_nobody_may_set_is_refused(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for field in SERVER_SIDE:
        assert await _refused_fields(live_sqlite, session, {field: "czo_"}) == [field]


async def test_odd_names_are_refused(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for name in (None, "", " \t ", 7, True, ["a"], "x" * 201):
        assert await _refused_fields(live_sqlite, session, {"name": name}) == ["name"]
    answer = await live_sqlite.api.post("/api-keys", {}, bearer=session.token)
    assert refused(answer, 400, "VALIDATION_ERROR")["details"][0]["loc"] == "name"


async def test_metadata_comes_back_as_it_was_sent(live: Live) -> None:
    _, session = await live.people.newcomer()
    metadata = {"env": "prod", "größe": [1, 2.5, None, True, {"ß": "𝔘"}], "": {}, "n": -(2**53)}
    metadata["_sa"] = {"_sa_instance_state": 1}
    shown = await create_key(live.api, session, metadata=metadata)
    assert shown["metadata"] == metadata
    read = accepted(await live.api.get(f"/api-keys/{shown['id']}", bearer=session.token))
    assert read["apiKey"]["metadata"] == metadata


async def test_metadata_that_is_no_object_or_too_large_is_refused(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    odd: tuple[object, ...] = ([], "text", 7, {"long": "x" * 4096})
    for metadata in odd:
        assert await _refused_fields(live_sqlite, session, {"metadata": metadata}) == ["metadata"]


async def _refused_fields(here: Live, session: Session, body: dict[str, object]) -> list[str]:
    """Say which fields of *body*, with a name, a creation is refused for; no key comes of it."""
    answer = await here.api.post("/api-keys", {"name": "a key", **body}, bearer=session.token)
    details = refused(answer, 400, "VALIDATION_ERROR")["details"]
    assert await listed_keys(here.api, session) == []
    return [detail["loc"].partition(".")[0] for detail in details]


# --- expiry ----------------------------------------------------------------------------------------------------------
async def test_expiry_is_given_as_a_time_or_as_seconds(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    in_an_hour = timed.time.now + timedelta(hours=1)
    by_seconds = await create_key(timed.api, session, expiresIn=3600)
    by_time = await create_key(timed.api, session, expiresAt=moment(in_an_hour))
    elsewhere = in_an_hour.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    by_another_zone = await create_key(timed.api, session, expiresAt=elsewhere)
    for shown in (by_seconds, by_time, by_another_zone):
        assert shown["expiresAt"] == moment(in_an_hour)
        assert await is_accepted(timed.api, shown["key"])
    timed.time.advance(seconds=3599.999)
    assert await is_accepted(timed.api, by_seconds["key"])
    timed.time.advance(seconds=0.001)
    for shown in (by_seconds, by_time, by_another_zone):
        assert not await is_accepted(timed.api, shown["key"])


ODD_SECONDS = (0, -1, -(10**12), 1.5, "60", True, 10**12, 10**13, 10**400)
ODD_TIMES = (
    "2020-01-01T00:00:00.000Z",
    "0001-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00.000+23:59",
    "9999-12-31T23:59:59.999-23:59",
    "2031-02-30T00:00:00.000Z",
    "2031-01-01T24:00:00.000Z",
    "2031-01-01T12:00:00",
    "2031-01-01",
    "٢٠٣١-01-01T00:00:00.000Z",
    "2031-01-01T12:00:00.000Z\n",
    " 2031-01-01T12:00:00.000Z",
    "tomorrow",
    "",
    1925000000,
    1925000000.0,
    True,
    ["2031-01-01T12:00:00.000Z"],
)


async def test_odd_lifetimes_are_refused(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for seconds in ODD_SECONDS:
        assert await _refused_fields(live_sqlite, session, {"expiresIn": seconds}), seconds


async def test_odd_expiry_times_are_refused(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for time in ODD_TIMES:
        assert await _refused_fields(live_sqlite, session, {"expiresAt": time}) == ["expiresAt"], time


async def test_expiry_lies_ahead_and_not_more_than_ten_years(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    now = timed_sqlite.time.now
    in_ten_years = now.replace(year=now.year + 10)

    async def ask(**more: object) -> Any:
        return await timed_sqlite.api.post("/api-keys", {"name": "a key", **more}, bearer=session.token)

    for accepted_end in (now + timedelta(milliseconds=1), in_ten_years):
        shown = accepted(await ask(expiresAt=moment(accepted_end)), 201)["apiKey"]
        assert shown["expiresAt"] == moment(accepted_end)
    for refused_end in (now, now - timedelta(seconds=1), in_ten_years + timedelta(seconds=1)):
        refused(await ask(expiresAt=moment(refused_end)), 400, "VALIDATION_ERROR")
    whole = int((in_ten_years - now).total_seconds())
    accepted(await ask(expiresIn=whole), 201)
    refused(await ask(expiresIn=whole + 1), 400, "VALIDATION_ERROR")


async def test_both_ways_to_say_the_expiry_at_once_are_refused(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    in_a_minute = moment(datetime.now(UTC) + timedelta(minutes=1))
    assert await _refused_fields(live_sqlite, session, {"expiresIn": 60, "expiresAt": in_a_minute})


# --- scopes ----------------------------------------------------------------------------------------------------------
async def test_scopes_are_kept_once_each_and_any_name_may_be_granted_by_default(live: Live) -> None:
    _, session = await live.people.newcomer()
    asked = ["orders:write", "orders:read", "orders:read", "a:b", "x.y-z_1:Q.r-s_2"]
    shown = await create_key(live.api, session, scopes=asked)
    assert shown["scopes"] == sorted(set(asked))
    assert (await principal_of(live.api, shown["key"]))["scopes"] == sorted(set(asked))


ODD_SCOPES = (
    ["orders"],
    ["orders:"],
    [":read"],
    ["orders:read "],
    ["orders:read orders:write"],
    ["orders:read\n"],
    ["orders:réad"],
    ["orders:١"],
    ["1orders:read"],
    ["orders:read:all"],
    ["orders:*"],
    ["*"],
    [""],
    [None],
    [7],
    "orders:read",
    {"orders": ["read"]},
    ["a" * 65 + ":b"],
    [f"s{number}:read" for number in range(65)],
)


async def test_odd_scopes_are_refused(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for scopes in ODD_SCOPES:
        assert await _refused_fields(live_sqlite, session, {"scopes": scopes}), scopes


async def test_reserved_scopes_are_granted_by_administrators_only(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    _, admin = await administrator(live_sqlite)
    for scope in ("api-keys:verify", "api-keys:anything", "admin:users"):
        body = {"name": "a key", "scopes": ["orders:read", scope]}
        answer = await live_sqlite.api.post("/api-keys", body, bearer=session.token)
        missing = [each["loc"] for each in refused(answer, 403, "INSUFFICIENT_SCOPE")["details"]]
        assert missing == [["scopes", scope]]
        shown = await create_key(live_sqlite.api, admin, scopes=[scope])
        assert (await principal_of(live_sqlite.api, shown["key"]))["scopes"] == [scope]
    assert await listed_keys(live_sqlite.api, session) == []


async def test_administrator_under_another_actor_type_grants_no_reserved_scope(timed_sqlite: Timed) -> None:
    session = await timed_sqlite.people.sign_in(timed_sqlite.ada, "customer")
    body = {"name": "a key", "scopes": ["api-keys:verify"]}
    answer = await timed_sqlite.api.post("/api-keys", body, bearer=session.token)
    refused(answer, 403, "INSUFFICIENT_SCOPE")


# --- how many --------------------------------------------------------------------------------------------------------
async def test_live_keys_are_limited_and_dead_ones_make_room(deploy: Deploy) -> None:
    timed = await deploy(api_key_limit=3)
    _, session = await timed.people.newcomer()
    keys = [await create_key(timed.api, session, expiresIn=60) for _ in range(2)]
    disabled = await create_key(timed.api, session)
    accepted(await timed.api.patch(f"/api-keys/{disabled['id']}", {"enabled": False}, bearer=session.token))

    async def ask() -> Any:
        return await timed.api.post("/api-keys", {"name": "one more"}, bearer=session.token)

    refused(await ask(), 409, "API_KEY_LIMIT_REACHED")
    accepted(await timed.api.delete(f"/api-keys/{keys[0]['id']}", bearer=session.token), 204)
    accepted(await ask(), 201)
    refused(await ask(), 409, "API_KEY_LIMIT_REACHED")
    timed.time.advance(seconds=60)
    accepted(await ask(), 201)
    refused(await ask(), 409, "API_KEY_LIMIT_REACHED")
    # Another user has room of their own.
    _, other = await timed.people.newcomer()
    await create_key(timed.api, other)


async def test_of_32_creations_at_once_one_fills_the_limit_of_a_hundred(live: Live) -> None:
    account, session = await live.people.newcomer()
    await _lock_keys(live, account, 99)
    body = {"name": "one more"}
    answers = await asyncio.gather(
        *(live.api.post("/api-keys", body, bearer=session.token) for _ in range(32))
    )
    codes = Counter(answer.json().get("code", answer.status_code) for answer in answers)
    assert codes == {201: 1, "API_KEY_LIMIT_REACHED": 31}
    assert len(await listed_keys(live.api, session)) == 100
    refused(await live.api.post("/api-keys", body, bearer=session.token), 409, "API_KEY_LIMIT_REACHED")


async def _lock_keys(here: Live, account: Account, count: int) -> None:
    now = here.clock()
    keys = [a_key(account.id, now=now, prefix="czo_none", scopes=()) for _ in range(count)]

    def keep(tx: Transaction) -> None:
        for key in keys:
            tx.api_keys.add(key, digest=digest(key.id))

    await here.auth.services.transactions.run(keep)


async def test_organization_that_does_not_exist_gets_no_key(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for unknown in (UNKNOWN, "acme", "x" * 64):
        body = {"name": "a key", "organizationId": unknown}
        answer = await live_sqlite.api.post("/api-keys", body, bearer=session.token)
        refused(answer, 403, "USER_NOT_MEMBER_OF_ORGANIZATION")
    assert await listed_keys(live_sqlite.api, session) == []
