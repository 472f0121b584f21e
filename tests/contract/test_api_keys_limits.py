"""Allow-lists and rate limits of API keys, for every way in (docs/decisions/0011)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from czo_auth.asgi.authentication import AuthMiddleware
from czo_auth.core.events.types import AuditFilter
from tests.contract.acting import create_key, listed_keys
from tests.contract.addresses import OFFICE, PROXY, STREET, host, via
from tests.contract.api import Answer, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Timed
from tests.contract.people import Session
from tests.support.settings import HERE


@dataclass
class Guarded:
    """A deployment behind a proxy, and somebody with a key for the office."""

    timed: Timed
    session: Session
    key: dict[str, Any] = field(repr=False)

    async def whoami(self, *addresses: str, key: str | None = None) -> Answer:
        return await self.timed.api.get("/whoami", bearer=key or self.key["key"], headers=via(*addresses))


@pytest.fixture
async def guarded(deploy: Deploy) -> Guarded:
    timed = await deploy(trusted_proxies=PROXY)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, allowedIps=[f"::ffff:{OFFICE}", "2001:DB8::/32"])
    return Guarded(timed, session, key)


# --- addresses -------------------------------------------------------------------------------------------------------
async def test_list_is_kept_in_canonical_form_and_shown(guarded: Guarded) -> None:
    assert guarded.key["allowedIps"] == [OFFICE, "2001:db8::/32"]
    (listed,) = await listed_keys(guarded.timed.api, guarded.session)
    assert listed["allowedIps"] == [OFFICE, "2001:db8::/32"]


async def test_key_works_from_its_addresses_only(guarded: Guarded) -> None:
    for address in (OFFICE, f"::ffff:{OFFICE}", "2001:db8:1::9"):
        assert accepted(await guarded.whoami(address))["apiKeyId"] == guarded.key["id"]
    for address in (STREET, f"::ffff:{STREET}", "2001:db9::1", "192.0.2.70", "not-an-address"):
        body = refused(await guarded.whoami(address), 403, "IP_ADDRESS_NOT_ALLOWED")
        assert set(body) == {"code", "message", "status"}
        assert OFFICE not in str(body)


async def test_forged_left_end_of_forwarded_for_is_not_believed(guarded: Guarded) -> None:
    refused(await guarded.whoami(OFFICE, STREET), 403, "IP_ADDRESS_NOT_ALLOWED")
    refused(await guarded.whoami(OFFICE, STREET, PROXY), 403, "IP_ADDRESS_NOT_ALLOWED")
    accepted(await guarded.whoami(STREET, OFFICE))


async def test_refused_use_is_no_use(guarded: Guarded) -> None:
    for _ in range(3):
        refused(await guarded.whoami(STREET), 403, "IP_ADDRESS_NOT_ALLOWED")
    await guarded.timed.runtime._housekeeping.flush_key_uses()
    assert (await listed_keys(guarded.timed.api, guarded.session))[0]["lastUsedAt"] is None
    accepted(await guarded.whoami(OFFICE))
    await guarded.timed.runtime._housekeeping.flush_key_uses()
    assert (await listed_keys(guarded.timed.api, guarded.session))[0]["lastUsedAt"] is not None


async def test_flood_from_elsewhere_is_recorded_once_an_hour(guarded: Guarded) -> None:
    async def recorded() -> int:
        await guarded.timed.runtime._background.finish()
        found, _ = await guarded.timed.runtime.administration.audit(
            AuditFilter(action="auth.apikey.address_refused"), limit=100
        )
        assert {record.context.ip for record in found} <= {STREET}
        assert {record.audit_event.outcome for record in found} <= {"denied"}
        return len(found)

    for _ in range(20):
        await guarded.whoami(STREET)
    assert await recorded() == 1
    guarded.timed.time.advance(hours=1)
    await guarded.whoami(STREET)
    assert await recorded() == 2


async def test_list_holds_on_host_routes_and_in_graphql(guarded: Guarded) -> None:
    runtime = guarded.timed.runtime
    ways = [
        ("GET", "/", AuthMiddleware(host, auth=runtime)),
        ("POST", "/", runtime.graphql),
    ]
    for method, path, app in ways:
        async with new_client(HERE, transport=httpx.ASGITransport(app)) as http:  # type: ignore[arg-type]
            for address, status in ((OFFICE, 200), (STREET, 403), (OFFICE, 200)):
                headers = {"authorization": f"Bearer {guarded.key['key']}", **via(address)}
                body = {"query": "{ me { id } }"} if method == "POST" else None
                answer = await http.request(method, path, headers=headers, json=body)
                assert answer.status_code == status, (method, address, answer.text)


async def test_service_that_verifies_passes_the_address(guarded: Guarded) -> None:
    timed = guarded.timed
    admin = await timed.people.sign_in(timed.ada, "admin")
    service = await create_key(timed.api, admin, scopes=["api-keys:verify"])

    async def ask(**more: object) -> Answer:
        body = {"key": guarded.key["key"], **more}
        return await timed.api.post("/api-keys/verify", body, bearer=service["key"], headers=via(STREET))

    assert accepted(await ask(ipAddress=f"::ffff:{OFFICE}"))["valid"] is True
    for more in ({"ipAddress": STREET}, {}):
        assert accepted(await ask(**more)) == {"valid": False, "code": "IP_ADDRESS_NOT_ALLOWED"}
    for wrong in ("", "office", f"{OFFICE}/32", "fe80::1%eth0", 1):
        refused(await ask(ipAddress=wrong), 400, "VALIDATION_ERROR")


async def test_unknown_and_revoked_keys_are_401_from_anywhere(guarded: Guarded) -> None:
    refused(await guarded.whoami(STREET, key="czo_" + "A" * 43), 401, "INVALID_API_KEY")
    accepted(
        await guarded.timed.api.delete(f"/api-keys/{guarded.key['id']}", bearer=guarded.session.token), 204
    )
    for address in (OFFICE, STREET):
        refused(await guarded.whoami(address), 401, "INVALID_API_KEY")


async def test_limits_only_get_tighter_and_act_at_the_next_request(guarded: Guarded) -> None:
    async def change(**body: object) -> Answer:
        path = f"/api-keys/{guarded.key['id']}"
        return await guarded.timed.api.patch(path, body, bearer=guarded.session.token)

    wider: list[object] = [None, [OFFICE, STREET], ["0.0.0.0/0"], ["192.0.2.0/24"], ["2001:db8::/31"], []]
    for allowed in wider:
        refused(await change(allowedIps=allowed), 400, "VALIDATION_ERROR")
    accepted(await guarded.whoami("2001:db8::1"))
    changed = accepted(await change(allowedIps=["2001:db8::/48"], rateLimitMax=5))["apiKey"]
    assert changed["allowedIps"] == ["2001:db8::/48"]
    assert (changed["rateLimitEnabled"], changed["rateLimitMax"], changed["rateLimitTimeWindow"]) == (
        True,
        5,
        60_000,
    )
    refused(await guarded.whoami(OFFICE), 403, "IP_ADDRESS_NOT_ALLOWED")
    accepted(await guarded.whoami("2001:db8::1"))
    for body in ({"rateLimitEnabled": False}, {"rateLimitMax": 6}, {"rateLimitTimeWindow": 59_000}):
        refused(await change(**body), 400, "VALIDATION_ERROR")
    accepted(await change(rateLimitTimeWindow=120_000, rateLimitMax=4))


async def test_rotated_key_keeps_its_limits(guarded: Guarded) -> None:
    path = f"/api-keys/{guarded.key['id']}/rotate"
    rotated = accepted(await guarded.timed.api.post(path, {}, bearer=guarded.session.token), 201)["apiKey"]
    assert rotated["allowedIps"] == guarded.key["allowedIps"]
    accepted(await guarded.whoami(OFFICE, key=rotated["key"]))
    refused(await guarded.whoami(STREET, key=rotated["key"]), 403, "IP_ADDRESS_NOT_ALLOWED")


async def test_key_cannot_loosen_itself(guarded: Guarded) -> None:
    path = f"/api-keys/{guarded.key['id']}"
    for body in ({"allowedIps": None}, {"allowedIps": ["0.0.0.0/0", "::/0"]}, {"rateLimitEnabled": False}):
        answer = await guarded.timed.api.patch(path, body, bearer=guarded.key["key"], headers=via(OFFICE))
        refused(answer, 403, "SESSION_REQUIRED")


@pytest.mark.parametrize(
    "body",
    [
        {"allowedIps": []},
        {"allowedIps": ["192.0.2.1"] * 65},
        {"allowedIps": [f"192.0.2.{number}" for number in range(21)]},
        {"allowedIps": "192.0.2.1"},
        {"allowedIps": [1]},
        {"allowedIps": ["192.0.2.1/24"]},
        {"allowedIps": ["localhost"]},
        {"rateLimitMax": 0},
        {"rateLimitMax": 10**13},
        {"rateLimitMax": "5"},
        {"rateLimitMax": True},
        {"rateLimitTimeWindow": 1500},
        {"rateLimitTimeWindow": -1000},
        {"rateLimitEnabled": False, "rateLimitMax": 5},
        {"rateLimitEnabled": 1},
    ],
)
async def test_limits_that_make_no_sense_are_refused(timed_sqlite: Timed, body: dict[str, object]) -> None:
    _, session = await timed_sqlite.people.newcomer()
    answer = await timed_sqlite.api.post("/api-keys", {"name": "k", **body}, bearer=session.token)
    refused(answer, 400, "VALIDATION_ERROR")


# --- rates -----------------------------------------------------------------------------------------------------------
async def test_key_over_its_limit_waits_and_others_keep_working(deploy: Deploy) -> None:
    timed = await deploy()
    _, session = await timed.people.newcomer()
    limited = await create_key(timed.api, session, rateLimitMax=3, rateLimitTimeWindow=3_600_000)
    other = await create_key(timed.api, session)
    for _ in range(3):
        accepted(await timed.api.get("/whoami", bearer=limited["key"]))
    body = refused(await timed.api.get("/whoami", bearer=limited["key"]), 429, "RATE_LIMIT_EXCEEDED")
    assert 1 <= body["retryAfter"] <= 3600
    accepted(await timed.api.get("/whoami", bearer=other["key"]))
    admin = await timed.people.sign_in(timed.ada, "admin")
    service = await create_key(timed.api, admin, scopes=["api-keys:verify"])
    asked = await timed.api.post("/api-keys/verify", {"key": limited["key"]}, bearer=service["key"])
    assert accepted(asked) == {"valid": False, "code": "RATE_LIMIT_EXCEEDED"}


async def test_limit_without_numbers_has_a_default(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    plain = await create_key(timed_sqlite.api, session)
    assert (plain["rateLimitEnabled"], plain["rateLimitMax"], plain["rateLimitTimeWindow"]) == (
        False,
        None,
        None,
    )
    limited = await create_key(timed_sqlite.api, session, rateLimitEnabled=True)
    assert (limited["rateLimitMax"], limited["rateLimitTimeWindow"]) == (600, 60_000)
    record = accepted(await timed_sqlite.api.get(f"/api-key/get?id={limited['id']}", bearer=session.token))
    assert (record["rateLimitEnabled"], record["rateLimitMax"], record["rateLimitTimeWindow"]) == (
        True,
        600,
        60_000,
    )


async def test_strangers_cannot_use_the_rate_up(deploy: Deploy) -> None:
    timed = await deploy(trusted_proxies=PROXY)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, allowedIps=[OFFICE], rateLimitMax=1)
    guarded = Guarded(timed, session, key)
    for _ in range(5):
        refused(await guarded.whoami(STREET), 403, "IP_ADDRESS_NOT_ALLOWED")
    accepted(await guarded.whoami(OFFICE))
    refused(await guarded.whoami(OFFICE), 429, "RATE_LIMIT_EXCEEDED")


# --- over a real connection ------------------------------------------------------------------------------------------
async def test_nobody_forges_an_address_without_a_trusted_proxy(live: Live) -> None:
    _, session = await live.people.newcomer()
    far = await create_key(live.api, session, allowedIps=[OFFICE])
    near = await create_key(live.api, session, allowedIps=["127.0.0.0/8", "::1"])
    forged = [
        via(OFFICE),
        {"x-real-ip": OFFICE},
        {"forwarded": f"for={OFFICE}"},
        {"x-client-ip": OFFICE},
        {"true-client-ip": OFFICE},
    ]
    for headers in forged:
        answer = await live.api.get("/whoami", bearer=far["key"], headers=headers)
        refused(answer, 403, "IP_ADDRESS_NOT_ALLOWED")
    accepted(await live.api.get("/whoami", bearer=near["key"], headers=via(STREET)))


async def test_rate_is_counted_over_a_real_connection(live: Live) -> None:
    _, session = await live.people.newcomer()
    key = await create_key(live.api, session, rateLimitMax=2, rateLimitTimeWindow=86_400_000)
    codes = [(await live.api.get("/whoami", bearer=key["key"])).status_code for _ in range(20)]
    assert codes[:2] == [200, 200]
    assert codes[-1] == 429
