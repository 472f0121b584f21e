"""Quotas of API keys, and the headers that tell what is left (contract part two, section 18)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import http_sf
import httpx
import pytest

from czo_auth.asgi.authentication import AuthMiddleware
from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.events.types import AuditFilter
from tests.contract.acting import create_key, listed_keys
from tests.contract.addresses import OFFICE, PROXY, STREET, host, via
from tests.contract.api import Answer, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD, Session
from tests.support.settings import HERE

DAY_SECONDS = 86_400
Limits = dict[str, dict[str, int]]


def reported(answer: httpx.Response) -> tuple[Limits, Limits]:
    """Read both headers as RFC 9651 says; each is there once, and each member is a string with integers."""
    found = []
    for name in ("ratelimit-policy", "ratelimit"):
        (text,) = answer.headers.get_list(name)
        members = dict(http_sf.parse(text.encode(), tltype="list"))
        assert all(
            type(name) is str and all(type(value) is int for value in members[name].values())
            for name in members
        )
        found.append(members)
    return found[0], found[1]


async def use(timed: Timed, key: dict[str, Any], **how: Any) -> Answer:
    return await timed.api.get("/whoami", bearer=key["key"], **how)


async def passes(timed: Timed, key: dict[str, Any], limit: int = 60) -> int:
    """Use a key until its quota refuses; give how often it passed."""
    for number in range(limit):
        answer = await use(timed, key)
        if answer.status_code == 429:
            refused(answer, 429, "QUOTA_EXCEEDED")
            return number
        accepted(answer)
    return limit


async def change(timed: Timed, session: Session, key: dict[str, Any], **body: object) -> Answer:
    return await timed.api.patch(f"/api-keys/{key['id']}", body, bearer=session.token)


# --- what passes -----------------------------------------------------------------------------------------------------
async def test_quota_of_a_day_is_full_again_at_midnight_in_utc(deploy: Deploy) -> None:
    timed = await deploy(now=datetime(2025, 3, 6, 23, 59, 30, tzinfo=UTC))
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=45, quotaPeriod="day")
    assert (key["quotaMax"], key["quotaPeriod"]) == (45, "day")
    assert await passes(timed, key) == 45
    answer = await use(timed, key)
    assert answer.headers["retry-after"] == "30"
    assert answer.json()["retryAfter"] == 30
    timed.time.advance(seconds=29.999)
    refused(await use(timed, key), 429, "QUOTA_EXCEEDED")
    timed.time.advance(milliseconds=1)
    assert await passes(timed, key) == 45
    timed.time.advance(days=1)
    assert await passes(timed, key, 3) == 3


async def test_quota_of_a_month_is_full_again_in_the_next_one(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite(now=datetime(2024, 2, 28, 12, tzinfo=UTC))
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=2, quotaPeriod="month")
    assert await passes(timed, key) == 2
    timed.time.advance(days=1)
    assert (await use(timed, key)).headers["retry-after"] == str(DAY_SECONDS // 2)
    timed.time.advance(hours=12)
    assert await passes(timed, key) == 2


async def test_clock_that_jumps_finds_what_was_used_before(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=3, quotaPeriod="day")
    assert await passes(timed, key) == 3
    for days in (1, -1, 5, -4, -1):
        timed.time.advance(days=days)
        counted = await passes(timed, key)
        # A day that was lived through before is used up; each other day has its own count.
        assert counted == (3 if days in (1, 5) else 0), days


async def test_quota_holds_for_all_processes_together(deploy: Deploy) -> None:
    timed = await deploy()
    other = await deploy(database_url=timed.runtime.settings.database_url, now=timed.time.now)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=100, quotaPeriod="day")
    answers = await asyncio.gather(*(use(one, key) for _ in range(65) for one in (timed, other)))
    assert sorted({answer.status_code for answer in answers}) == [200, 429]
    assert sum(answer.status_code == 200 for answer in answers) == 100


async def test_block_that_was_not_used_is_given_back_at_a_clean_stop(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite()
    other = await deploy_sqlite(database_url=timed.runtime.settings.database_url, now=timed.time.now)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=100, quotaPeriod="day")
    accepted(await use(other, key))
    await other.runtime.stop()
    assert await passes(timed, key, 110) == 99


async def test_rotated_key_and_its_successor_share_the_quota(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=4, quotaPeriod="day")
    for _ in range(2):
        accepted(await use(timed, key))
    body = {"overlapSeconds": 600}
    rotated = accepted(await timed.api.post(f"/api-keys/{key['id']}/rotate", body, bearer=session.token), 201)
    successor = rotated["apiKey"]
    assert (successor["quotaMax"], successor["quotaPeriod"]) == (4, "day")
    accepted(await use(timed, successor))
    accepted(await use(timed, key))
    for each in (key, successor):
        refused(await use(timed, each), 429, "QUOTA_EXCEEDED")


async def test_token_that_was_traded_for_a_key_uses_its_quota(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=3, quotaPeriod="day")
    body = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": key["key"],
        "subject_token_type": "urn:czo-auth:token-type:api-key",
    }
    token = (await timed.api.post("/token/exchange", body)).json()["access_token"]
    assert await passes(timed, {"key": token}) == 2
    refused(await use(timed, key), 429, "QUOTA_EXCEEDED")


async def test_strangers_and_floods_do_not_use_the_quota_up(deploy_sqlite: Deploy) -> None:
    timed = await deploy_sqlite(trusted_proxies=PROXY)
    _, session = await timed.people.newcomer()
    key = await create_key(
        timed.api,
        session,
        allowedIps=[OFFICE],
        rateLimitMax=2,
        rateLimitTimeWindow=60_000,
        quotaMax=3,
        quotaPeriod="day",
    )
    for _ in range(5):
        refused(await use(timed, key, headers=via(STREET)), 403, "IP_ADDRESS_NOT_ALLOWED")
    codes = [(await use(timed, key, headers=via(OFFICE))).json().get("code") for _ in range(5)]
    assert codes == [None, None, *["RATE_LIMIT_EXCEEDED"] * 3]
    timed.time.advance(minutes=5)
    accepted(await use(timed, key, headers=via(OFFICE)))
    refused(await use(timed, key, headers=via(OFFICE)), 429, "QUOTA_EXCEEDED")


async def test_outage_is_503_when_a_block_is_needed_and_no_use_before(
    timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a block needs no database, and nobody guesses what is left of a quota."""
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=60, quotaPeriod="day")
    accepted(await use(timed, key))

    async def down(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as outage:
        outage.setattr(timed.runtime.storage.transactions, "run", down)
        outage.setattr(timed.runtime.services.transactions, "run", down)
        for _ in range(2):
            accepted(await use(timed, key))
        answer = await use(timed, key)
        refused(answer, 503, "SERVICE_UNAVAILABLE")
        assert "retry-after" in answer.headers
    assert await passes(timed, key) == 57


async def test_service_that_verifies_gets_the_quota(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=1, quotaPeriod="day")
    admin = await timed.people.sign_in(timed.ada, "admin")
    service = await create_key(timed.api, admin, scopes=["api-keys:verify"])
    verdicts = [
        accepted(await timed.api.post("/api-keys/verify", {"key": key["key"]}, bearer=service["key"]))
        for _ in range(2)
    ]
    assert verdicts[0]["valid"] is True
    assert verdicts[1] == {"valid": False, "code": "QUOTA_EXCEEDED"}


# --- setting one -----------------------------------------------------------------------------------------------------
async def test_quota_comes_whole_or_not_at_all(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    wrong: list[dict[str, object]] = [
        {"quotaMax": 5},
        {"quotaPeriod": "day"},
        {"quotaMax": 0, "quotaPeriod": "day"},
        {"quotaMax": -1, "quotaPeriod": "month"},
        {"quotaMax": 1_000_000_001, "quotaPeriod": "day"},
        {"quotaMax": "5", "quotaPeriod": "day"},
        {"quotaMax": 5, "quotaPeriod": "week"},
        {"quotaMax": 5, "quotaPeriod": None},
        {"quotaMax": None, "quotaPeriod": "day"},
        {"quotaMax": 1.5, "quotaPeriod": "day"},
    ]
    for body in wrong:
        made = await timed.api.post("/api-keys", {"name": "a", **body}, bearer=session.token)
        refused(made, 400, "VALIDATION_ERROR")
        refused(await change(timed, session, key, **body), 400, "VALIDATION_ERROR")


async def test_quota_is_lowered_freely_and_raised_with_recent_proof(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    timed.time.advance(minutes=11)
    for body in ({"quotaMax": 50, "quotaPeriod": "day"}, {"quotaMax": 40, "quotaPeriod": "month"}):
        changed = accepted(await change(timed, session, key, **body))["apiKey"]
        assert {name: changed[name] for name in body} == body
    raises: list[dict[str, object]] = [
        {"quotaMax": 41, "quotaPeriod": "month"},
        {"quotaMax": 1, "quotaPeriod": "day"},
        {"quotaMax": None, "quotaPeriod": None},
    ]
    for body in raises:
        refused(await change(timed, session, key, **body), 403, "REAUTHENTICATION_REQUIRED")
        refused(await change(timed, session, key, **body, password="wrong"), 400, "INVALID_PASSWORD")
    (listed,) = await listed_keys(timed.api, session)
    assert (listed["quotaMax"], listed["quotaPeriod"]) == (40, "month")
    # What else is changed in the same request waits for the proof too.
    refused(await change(timed, session, key, name="b", **raises[0]), 403, "REAUTHENTICATION_REQUIRED")
    accepted(await change(timed, session, key, name="c"))
    accepted(await change(timed, session, key, **raises[0], password=PASSWORD))
    accepted(await timed.api.post("/reauthenticate", {"password": PASSWORD}, bearer=session.token))
    for body in raises[1:]:
        changed = accepted(await change(timed, session, key, **body))["apiKey"]
        assert {name: changed[name] for name in body} == body


async def test_change_of_a_quota_is_recorded(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=50, quotaPeriod="day")
    accepted(await change(timed, session, key, quotaMax=9, quotaPeriod="month"))
    accepted(await change(timed, session, key, quotaMax=None, quotaPeriod=None))
    accepted(await change(timed, session, key, name="b"))
    found, _ = await timed.runtime.administration.audit(AuditFilter(action="auth.apikey.changed"), limit=9)
    details = [record.audit_event.details for record in reversed(found)]
    assert [(each.get("quotaBefore"), each.get("quota")) for each in details] == [
        ("50/day", "9/month"),
        ("9/month", None),
        (None, None),
    ]
    assert details[0]["changed"] == ["quota_max", "quota_period"]
    assert PASSWORD not in str(details)


async def test_quota_that_is_changed_acts_at_the_next_use_and_forgets_none(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=200, quotaPeriod="day")
    for _ in range(3):
        accepted(await use(timed, key))
    # Ten were taken ahead, and they count: what is lowered never lets more pass than the new quota.
    accepted(await change(timed, session, key, quotaMax=12, quotaPeriod="day"))
    assert await passes(timed, key) == 2
    accepted(await change(timed, session, key, quotaMax=12, quotaPeriod="month"))
    assert await passes(timed, key) == 0
    accepted(await change(timed, session, key, quotaMax=None, quotaPeriod=None))
    assert await passes(timed, key, 5) == 5
    accepted(await change(timed, session, key, quotaMax=12, quotaPeriod="month"))
    assert await passes(timed, key) == 0


# --- the headers -----------------------------------------------------------------------------------------------------
async def test_limits_are_reported_on_every_answer_to_the_key(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    limited = await create_key(
        timed.api,
        session,
        rateLimitMax=50,
        rateLimitTimeWindow=3_600_000,
        quotaMax=100,
        quotaPeriod="day",
    )
    headers = {"authorization": f"Bearer {limited['key']}"}
    behind = AuthMiddleware(host, auth=timed.runtime)
    async with (
        new_client(HERE, transport=httpx.ASGITransport(behind)) as guarded,  # type: ignore[arg-type]
        new_client(HERE, transport=httpx.ASGITransport(timed.runtime.graphql)) as graphql,
    ):
        answers = [
            await use(timed, limited),
            await timed.api.get("/organizations/nothing", bearer=limited["key"]),
            await timed.api.get("/api-keys", bearer=limited["key"]),
            await timed.api.get("/forward-auth", bearer=limited["key"]),
            await timed.api.get("/forward-auth?scopes=a:b", bearer=limited["key"]),
            await timed.api.post("/introspect", {"token": "x"}, bearer=limited["key"]),
            await guarded.get("/", headers=headers),
            await graphql.post("/", json={"query": "{ me { id } }"}, headers=headers),
            await graphql.post("/", json={"query": "{"}, headers=headers),
        ]
    assert [answer.status_code for answer in answers] == [200, 404, 403, 200, 403, 403, 200, 200, 400]
    for number, answer in enumerate(answers, 1):
        policies, remaining = reported(answer)
        assert policies == {"rate-limit": {"q": 50, "w": 3600}, "quota": {"q": 100, "w": DAY_SECONDS}}
        left = {name: each["r"] for name, each in remaining.items()}
        assert left == {"rate-limit": 50 - number, "quota": 100 - number}
        assert remaining["quota"]["t"] == 15 * 3600
        assert 1 <= remaining["rate-limit"]["t"] <= 3600


async def test_nothing_is_reported_where_there_is_no_limit(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    for answer in (
        await use(timed, await create_key(timed.api, session)),
        await timed.api.get("/whoami", bearer=session.token),
        await timed.api.get("/jwks"),
    ):
        assert "ratelimit" not in answer.headers
        assert "ratelimit-policy" not in answer.headers


async def test_refusal_tells_the_limit_that_refused(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    by_rate = await create_key(timed.api, session, rateLimitMax=1, quotaMax=5, quotaPeriod="month")
    by_quota = await create_key(timed.api, session, rateLimitMax=9, quotaMax=1, quotaPeriod="month")
    for key, name in ((by_rate, "rate-limit"), (by_quota, "quota")):
        accepted(await use(timed, key))
        for answer in (await use(timed, key), await timed.api.get("/forward-auth", bearer=key["key"])):
            assert answer.status_code in (429, 403)
            policies, remaining = reported(answer)
            assert policies.keys() == {"rate-limit", "quota"}
            assert policies["quota"]["w"] == 31 * DAY_SECONDS
            # Draft section 6: trying again is never asked for before the window of what refused ends.
            assert remaining == {name: {"r": 0, "t": int(answer.headers["retry-after"])}}


async def test_introspection_tells_the_limits_of_the_token(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, quotaMax=100, quotaPeriod="day")
    admin = await timed.people.sign_in(timed.ada, "admin")
    service = await create_key(timed.api, admin, scopes=["api-keys:verify"])
    answer = await timed.api.post("/introspect", {"token": key["key"]}, bearer=service["key"])
    assert "ratelimit" not in answer.headers
    said = answer.json()
    assert http_sf.parse(said["ratelimit_policy"].encode(), tltype="list") == [
        ("quota", {"q": 100, "w": DAY_SECONDS})
    ]
    assert http_sf.parse(said["ratelimit"].encode(), tltype="list") == [("quota", {"r": 99, "t": 15 * 3600})]


async def test_pages_of_other_origins_may_read_the_headers(timed_sqlite: Timed) -> None:
    answer = await timed_sqlite.api.get("/jwks", headers={"origin": "https://app.example"})
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"ratelimit", "ratelimit-policy", "retry-after"} <= exposed
