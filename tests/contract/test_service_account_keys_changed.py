"""What owners and admins change on a service account's key (docs/reference/rest.md; S38)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from czo_auth.core.events.types import AuditFilter
from tests.contract.acting import UNKNOWN, create_key, is_accepted, principal_of
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.organizations import Acme, acme_of
from tests.contract.people import PASSWORD, Session


async def change(acme: Acme, key: dict[str, Any], session: Session | None = None, **body: object) -> Answer:
    path = f"{acme.path}/api-keys/{key['id']}"
    return await acme.api.patch(path, body, bearer=(session or acme.admin).token)


def later(timed: Timed, **ahead: float) -> str:
    moment = (timed.clock() + timedelta(**ahead)).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


async def key_of(acme: Acme, **more: object) -> dict[str, Any]:
    """Make a key of a new service account by the owner."""
    account = await acme.create()
    return await acme.key(account["id"], scopes=["a:read", "a:write"], **more)


@pytest.mark.each_database
async def test_key_is_renamed_narrowed_and_switched_off_without_proof(timed: Timed) -> None:
    acme = await acme_of(timed)
    key = await key_of(acme, expiresAt=later(timed, days=30))
    timed.time.advance(minutes=11)
    narrower = {
        "name": "nightly",
        "scopes": ["a:read"],
        "expiresAt": later(timed, days=7),
        "allowedIps": ["203.0.113.0/24", "127.0.0.1"],
        "rateLimitMax": 50,
        "rateLimitTimeWindow": 60_000,
        "quotaMax": 1000,
        "quotaPeriod": "day",
        "metadata": {"team": "build"},
    }
    changed = accepted(await change(acme, key, **narrower))["apiKey"]
    assert "key" not in changed
    assert {name: changed[name] for name in narrower if name != "allowedIps"} == {
        name: value for name, value in narrower.items() if name != "allowedIps"
    }
    assert (changed["serviceAccountId"], changed["userId"]) == (key["serviceAccountId"], None)
    assert (await principal_of(acme.api, key["key"]))["scopes"] == ["a:read"]
    (listed,) = await acme.keys()
    assert {name: listed[name] for name in changed if name not in ("lastUsedAt", "useCount")} == {
        name: value for name, value in changed.items() if name not in ("lastUsedAt", "useCount")
    }
    accepted(await change(acme, key, enabled=False))
    assert not await is_accepted(acme.api, key["key"])
    accepted(await change(acme, key, enabled=True))
    assert await is_accepted(acme.api, key["key"])


@pytest.mark.each_database
async def test_nothing_but_end_and_quota_ever_widens(timed: Timed) -> None:
    acme = await acme_of(timed)
    limits = {
        "allowedIps": ["127.0.0.0/8"],
        "rateLimitMax": 50,
        "rateLimitTimeWindow": 60_000,
    }
    account = await acme.create()
    key = await acme.key(account["id"], scopes=["a:read"], **limits)
    wrong: list[dict[str, object]] = [
        {"scopes": ["a:read", "a:write"]},
        {"scopes": ["never:had"]},
        {"allowedIps": None},
        {"allowedIps": ["0.0.0.0/0"]},
        {"rateLimitMax": 51},
        {"rateLimitEnabled": False},
        {"name": ""},
        {"quotaMax": 0, "quotaPeriod": "day"},
        {"quotaMax": 5},
        {"expiresAt": later(timed, days=-1)},
        {"expiresAt": later(timed, days=366 * 11)},
        {"userId": acme.boss.id},
        {"serviceAccountId": account["id"]},
        {"organizationId": acme.id},
        {"digest": "a" * 64},
    ]
    for body in wrong:
        refused(await change(acme, key, acme.owner, **body), 400, "VALIDATION_ERROR")
    (unchanged,) = await acme.keys()
    assert unchanged["updatedAt"] == key["updatedAt"]


@pytest.mark.each_database
async def test_later_end_and_wider_quota_ask_for_recent_proof_and_for_the_scopes(timed: Timed) -> None:
    acme = await acme_of(timed)
    key = await key_of(acme, expiresAt=later(timed, days=30), quotaMax=10, quotaPeriod="day")
    timed.time.advance(minutes=11)
    wider: list[dict[str, object]] = [
        {"expiresAt": later(timed, days=31)},
        {"expiresAt": None},
        {"quotaMax": 11, "quotaPeriod": "day"},
        {"quotaMax": None, "quotaPeriod": None},
    ]
    for body in wider:
        refused(await change(acme, key, **body), 403, "REAUTHENTICATION_REQUIRED")
        refused(await change(acme, key, **body, password="wrong"), 400, "INVALID_PASSWORD")
    changed = accepted(await change(acme, key, **wider[0], password=PASSWORD))["apiKey"]
    assert changed["expiresAt"] == wider[0]["expiresAt"]
    accepted(await timed.api.post("/reauthenticate", {"password": PASSWORD}, bearer=acme.admin.token))
    for body in wider[1:]:
        changed = accepted(await change(acme, key, **body))["apiKey"]
        assert {name: changed[name] for name in body} == body


async def test_who_cannot_give_the_scopes_lets_no_key_live_longer(deploy: Deploy) -> None:
    """S38: a later end is as good as a new key; what only takes away is free."""
    here = await deploy(scope_rule={"customer": ["a:read"], "org:owner": ["a:write"]})
    acme = await acme_of(here)
    key = await key_of(acme, expiresAt=later(here, days=2))
    body = refused(await change(acme, key, expiresAt=None), 403, "INSUFFICIENT_SCOPE")
    assert body["details"] == [{"loc": ["scopes", "a:write"], "msg": body["details"][0]["msg"]}]
    # Narrowed to what the admin may give, in the same request, it may.
    accepted(await change(acme, key, expiresAt=None, scopes=["a:read"]))


@pytest.mark.each_database
async def test_who_has_no_say_changes_nothing(timed: Timed) -> None:
    acme = await acme_of(timed)
    key = await key_of(acme)
    own = await create_key(acme.api, acme.owner, organizationId=acme.id, scopes=["a:read"])
    _, stranger = await timed.people.newcomer()
    refused(await change(acme, key, stranger, name="x"), 404, "NOT_FOUND")
    refused(await change(acme, own, acme.admin, name="x"), 403, "FORBIDDEN")
    refused(await change(acme, {"id": UNKNOWN}, name="x"), 404, "NOT_FOUND")
    path = f"{acme.path}/api-keys/{key['id']}"
    for bearer in (own["key"], key["key"]):
        refused(await acme.api.patch(path, {"name": "x"}, bearer=bearer), 403, "SESSION_REQUIRED")
    refused(
        await acme.api.patch(f"/api-keys/{key['id']}", {"name": "x"}, bearer=acme.owner.token),
        404,
        "NOT_FOUND",
    )
    body = {"keyId": key["id"], "name": "x"}
    refused(await acme.api.post("/api-key/update", body, bearer=stranger.token), 404, "KEY_NOT_FOUND")
    accepted(await acme.api.patch(acme.member, {"role": "member"}, bearer=acme.owner.token))
    refused(await change(acme, key, acme.admin, name="x"), 403, "FORBIDDEN")
    refused(await acme.api.post("/api-key/update", body, bearer=acme.admin.token), 404, "KEY_NOT_FOUND")
    accepted(await acme.api.post(f"{path}/rotate", {}, bearer=acme.owner.token), 201)
    refused(await change(acme, key, acme.owner, expiresAt=later(timed, days=1)), 400, "VALIDATION_ERROR")
    refused(await change(acme, key, acme.owner, enabled=True), 400, "VALIDATION_ERROR")


async def test_better_auths_update_reaches_a_service_accounts_key(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    acme = await acme_of(timed)
    key = await key_of(acme, expiresAt=later(timed, days=3))
    body = {"keyId": key["id"], "name": "renamed", "enabled": False}
    shown = accepted(await acme.api.post("/api-key/update", body, bearer=acme.admin.token))
    assert (shown["name"], shown["enabled"], shown["organizationId"]) == ("renamed", False, acme.id)
    timed.time.advance(minutes=11)
    longer = {"keyId": key["id"], "expiresIn": 86400 * 30}
    answer = await acme.api.post("/api-key/update", longer, bearer=acme.admin.token)
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")
    accepted(await timed.api.post("/reauthenticate", {"password": PASSWORD}, bearer=acme.admin.token))
    accepted(await acme.api.post("/api-key/update", longer, bearer=acme.admin.token))


async def test_rule_of_two_factors_binds_who_widens(timed_sqlite: Timed) -> None:
    """From the moment it is set, long before it is due; who narrows goes on."""
    timed = timed_sqlite
    acme = await acme_of(timed)
    key = await key_of(acme, expiresAt=later(timed, days=3))
    acme.owner = await timed.people.enroll(acme.boss, acme.owner)
    rule = {"requireTwoFactorFrom": later(timed, days=30)}
    accepted(await acme.api.patch(acme.path, rule, bearer=acme.owner.token))
    refused(await change(acme, key, expiresAt=None), 403, "ORGANIZATION_TWO_FACTOR_REQUIRED")
    accepted(await change(acme, key, expiresAt=later(timed, days=2)))
    accepted(await change(acme, key, acme.owner, expiresAt=None))


@pytest.mark.each_database
async def test_change_is_recorded_and_the_maximum_lifetime_holds(timed: Timed) -> None:
    acme = await acme_of(timed)
    key = await key_of(acme, expiresAt=later(timed, days=3))
    accepted(await acme.api.patch(acme.path, {"apiKeyMaxDays": 5}, bearer=acme.owner.token))
    for end in (None, later(timed, days=6)):
        refused(await change(acme, key, expiresAt=end), 400, "VALIDATION_ERROR")
    accepted(await change(acme, key, expiresAt=later(timed, days=4), quotaMax=7, quotaPeriod="day"))
    found, _ = await timed.auth.administration.audit(AuditFilter(action="auth.apikey.changed"), limit=1)
    data = found[0].audit_event.details
    assert data["changed"] == ["expires_at", "quota_max", "quota_period"]
    assert (data["quota"], data["serviceAccountId"]) == ("7/day", key["serviceAccountId"])


@pytest.mark.each_database
async def test_what_is_narrowed_in_the_meantime_is_not_widened_without_proof(timed: Timed) -> None:
    """Of two nearer ends that are set at once without proof, the nearest one stays, whichever came first."""
    acme = await acme_of(timed)
    for _ in range(5):
        key = await key_of(acme, expiresAt=later(timed, days=9))
        timed.time.advance(minutes=11)
        sooner, between = later(timed, days=1), later(timed, days=5)
        answers = await asyncio.gather(
            *(change(acme, key, expiresAt=end) for end in (sooner, between) for _ in range(4))
        )
        assert {answer.status_code for answer in answers} <= {200, 403}
        end = next(each["expiresAt"] for each in await acme.keys() if each["id"] == key["id"])
        assert end == sooner
        accepted(await timed.api.post("/reauthenticate", {"password": PASSWORD}, bearer=acme.owner.token))
