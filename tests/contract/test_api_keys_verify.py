"""Another service asks about a key (docs/reference/rest.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from czo_auth.crypto import tokens
from tests.contract.acting import (
    change_actor_types,
    create_key,
    create_organization,
    digest,
    join,
    listed_keys,
)
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.keys import FIELDS
from tests.contract.people import Session


@dataclass
class Service:
    """A service with a key that may verify others."""

    timed: Timed
    admin: Session
    key: str

    async def ask(self, key: object, **more: object) -> Answer:
        return await self.timed.api.post("/api-keys/verify", {"key": key, **more}, bearer=self.key)

    async def verdict(self, key: str, **more: object) -> dict[str, Any]:
        verdict: dict[str, Any] = accepted(await self.ask(key, **more))
        assert set(verdict) == ({"valid", "apiKey"} if verdict["valid"] else {"valid", "code"})
        return verdict

    async def code(self, key: str, **more: object) -> str | None:
        verdict = await self.verdict(key, **more)
        code: str | None = verdict.get("code")
        return code


async def service_of(timed: Timed) -> Service:
    admin = await timed.people.sign_in(timed.ada, "admin")
    shown = await create_key(timed.api, admin, scopes=["api-keys:verify"])
    return Service(timed, admin, shown["key"])


@pytest.fixture
async def service(timed: Timed) -> Service:
    return await service_of(timed)


async def test_live_key_is_described_and_never_shown(service: Service) -> None:
    timed = service.timed
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b", "c:d"], metadata={"m": 1}, expiresIn=60)
    answer = await service.ask(key["key"], scopes=["c:d"])
    assert key["key"][8:] not in answer.text
    assert digest(key["key"]) not in answer.text
    verdict = accepted(answer)
    assert verdict["valid"] is True
    described = verdict["apiKey"]
    assert set(described) >= FIELDS - {"key"}
    assert "key" not in described
    assert described["userId"] == account.id
    same = ("id", "name", "prefix", "organizationId", "scopes", "metadata", "enabled", "expiresAt")
    assert {name: described[name] for name in same} == {name: key[name] for name in same}


async def test_only_a_key_with_the_scope_may_ask(service: Service) -> None:
    timed, body = service.timed, {"key": service.key}
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b"])
    verify = "/api-keys/verify"
    refused(await timed.api.post(verify, body), 401, "UNAUTHORIZED")
    refused(await timed.api.post(verify, body, bearer="czo_"), 401, "INVALID_API_KEY")
    for credential in (key["key"], session.token, session.access_token, service.admin.token):
        refused(await timed.api.post(verify, body, bearer=credential), 403, "INSUFFICIENT_SCOPE")
    # A key may ask about itself.
    assert (await service.verdict(service.key))["valid"] is True


async def test_asker_that_lost_the_right_is_refused_at_the_next_request(service: Service) -> None:
    timed = service.timed
    assert (await service.verdict(service.key))["valid"] is True
    await change_actor_types(timed, timed.ada, remove=["admin"])
    refused(await service.ask(service.key), 403, "INSUFFICIENT_SCOPE")


async def test_dead_keys_and_what_is_no_key_are_invalid(service: Service) -> None:
    timed = service.timed
    _, owner = await timed.people.newcomer()
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    await join(timed.api, owner, organization, (account, session))
    keys = [await create_key(timed.api, session) for _ in range(4)]
    keys[1] = await create_key(timed.api, session, expiresIn=60)
    of_acme = await create_key(timed.api, session, organizationId=organization)
    for key in (*keys, of_acme):
        assert await service.code(key["key"]) is None
    accepted(await timed.api.delete(f"/api-keys/{keys[0]['id']}", bearer=session.token), 204)
    timed.time.advance(seconds=60)
    at = f"/api-keys/{keys[2]['id']}"
    accepted(await timed.api.patch(at, {"enabled": False}, bearer=session.token))
    member = f"/organizations/{organization}/members/{account.id}"
    accepted(await timed.api.delete(member, {"confirm": True}, bearer=owner.token), 204)
    for key in (*keys[:3], of_acme):
        assert await service.code(key["key"]) == "INVALID_API_KEY"
    assert await service.code(keys[3]["key"]) is None
    ban = f"/admin/users/{account.id}/ban"
    accepted(await timed.api.post(ban, {"reason": "test"}, bearer=service.admin.token))
    assert await service.code(keys[3]["key"]) == "INVALID_API_KEY"
    for text in (
        tokens.new_token("czo_"),
        session.token,
        session.access_token,
        owner.token,
        keys[3]["key"] + "\n",
        " " + keys[3]["key"],
        "ключ",
        "\ud83d\udd11",
    ):
        assert await service.code(text) == "INVALID_API_KEY"


async def test_verdict_is_the_middlewares_about_scopes_organization_and_second_factor(
    service: Service,
) -> None:
    timed = service.timed
    account, session = await timed.people.newcomer()
    organization, other = (
        await create_organization(timed.api, session),
        await create_organization(timed.api, session, "Other"),
    )
    key = (await create_key(timed.api, session, organizationId=organization, scopes=["a:b", "c:d"]))["key"]
    assert await service.code(key, scopes=["a:b", "c:d"], organizationId=organization) is None
    assert await service.code(key, scopes=["a:b", "e:f"]) == "INSUFFICIENT_SCOPE"
    assert await service.code(key, organizationId=other) == "ORGANIZATION_SCOPE_MISMATCH"
    assert await service.code(key, scopes=["api-keys:verify"]) == "INSUFFICIENT_SCOPE"
    await timed.promote(account)
    assert await service.code(key) == "TWO_FACTOR_SETUP_REQUIRED"
    await timed.people.enroll(account, session)
    assert await service.code(key) is None


async def test_scopes_that_no_longer_count_are_not_described(deploy: Deploy) -> None:
    timed = await deploy(scope_rule={"merchant": ["orders:*"]})
    service = await service_of(timed)
    account, session = await timed.people.newcomer("merchant")
    key = (await create_key(timed.api, session, scopes=["orders:read"]))["key"]
    assert (await service.verdict(key, scopes=["orders:read"]))["apiKey"]["scopes"] == ["orders:read"]
    await change_actor_types(timed, account, remove=["merchant"])
    assert await service.code(key, scopes=["orders:read"]) == "INSUFFICIENT_SCOPE"
    assert (await service.verdict(key))["apiKey"]["scopes"] == []


async def test_asking_makes_nothing_and_odd_questions_are_refused(service: Service) -> None:
    for body in (
        {},
        {"key": None},
        {"key": 7},
        {"key": ["czo_"]},
        {"key": ""},
        {"key": "czo_", "scopes": "a:b"},
        {"key": "czo_", "userId": "me"},
        {"key": "czo_", "organizationId": 7},
    ):
        answer = await service.timed.api.post("/api-keys/verify", body, bearer=service.key)
        refused(answer, 400, "VALIDATION_ERROR")
    assert len(await listed_keys(service.timed.api, service.admin)) == 1
