"""Webhooks over REST: what an administrator does with endpoints, and what is refused (docs/reference/events.md)."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.acting import UNKNOWN, join
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import everything, sql
from tests.contract.deployments import Timed
from tests.contract.webhooks import (
    NEW,
    URL,
    administrator_of,
    deployment_of,
    make,
    owner_of,
)


@pytest.fixture
async def here(deploy: Deploy) -> Timed:
    return await deployment_of(deploy)


async def test_endpoint_is_created_changed_and_deleted(here: Timed) -> None:
    session = await administrator_of(here)
    answer = await here.api.post(
        "/admin/webhooks", {**NEW, "description": " the shop "}, bearer=session.token
    )
    made = accepted(answer, 201)
    webhook = made["webhook"]
    assert webhook == {
        "id": webhook["id"],
        "url": URL,
        "events": ["auth.apikey.*"],
        "description": "the shop",
        "enabled": True,
        "disabledReason": None,
        "createdAt": webhook["createdAt"],
    }
    assert made["secret"].startswith("whsec_")
    path = f"/admin/webhooks/{webhook['id']}"
    assert accepted(await here.api.get(path, bearer=session.token)) == {"webhook": webhook}
    listed = accepted(await here.api.get("/admin/webhooks", bearer=session.token))
    assert listed == {"webhooks": [webhook], "total": 1, "nextCursor": None}
    changes = {"url": "https://other.example.com/", "events": ["*"], "enabled": False, "description": None}
    changed = accepted(await here.api.patch(path, changes, bearer=session.token))["webhook"]
    assert changed == {**webhook, **changes}
    accepted(await here.api.delete(path, bearer=session.token), 204)
    for method in ("GET", "DELETE", "PATCH"):
        body = {} if method == "PATCH" else None
        answer = await here.api.call(
            method, path, *([body] if body is not None else []), bearer=session.token
        )
        refused(answer, 404, "NOT_FOUND")
    actions = [
        record["action"]
        for record in accepted(await here.api.get("/admin/audit", bearer=session.token))["audit"]
    ]
    assert actions[:3] == ["auth.webhook.deleted", "auth.webhook.updated", "auth.webhook.created"]


@pytest.mark.parametrize("whose", ["administrator", "owner"])
async def test_new_secret_test_and_replay_are_audited_with_the_host_alone(here: Timed, whose: str) -> None:
    if whose == "owner":
        session, organization = await owner_of(here)
        base = f"/organizations/{organization}/webhooks"
    else:
        session, base = await administrator_of(here), "/admin/webhooks"
    webhook_id = (await make(here.api, session, base))["webhook"]["id"]
    path = f"{base}/{webhook_id}"
    accepted(await here.api.post(f"{path}/secret", bearer=session.token), 201)
    accepted(await here.api.post(f"{path}/test", bearer=session.token), 202)
    since = {"since": "2025-01-01T00:00:00Z"}
    accepted(await here.api.post(f"{path}/replay", since, bearer=session.token), 202)
    answer = await here.api.get("/admin/audit", bearer=(await administrator_of(here)).token)
    records = [each for each in accepted(answer)["audit"] if each["action"].startswith("auth.webhook.")]
    assert [record["action"] for record in records] == [
        "auth.webhook.replayed",
        "auth.webhook.tested",
        "auth.webhook.secret_rotated",
        "auth.webhook.created",
    ]
    assert {(each["details"]["webhookId"], each["details"]["host"]) for each in records} == {
        (webhook_id, "hooks.example.com")
    }
    # The path may be a secret of the receiver.
    assert URL not in answer.text


async def test_secret_is_shown_once_and_stored_encrypted(here: Timed) -> None:
    session = await administrator_of(here)
    made = await make(here.api, session, "/admin/webhooks")
    path = f"/admin/webhooks/{made['webhook']['id']}"
    second = accepted(await here.api.post(f"{path}/secret", bearer=session.token), 201)
    assert set(second) == {"secret"}
    assert second["secret"] != made["secret"]
    kept = await everything(here.auth.settings.storage_url)
    sealed = str(await sql(here.auth.settings.storage_url, "SELECT * FROM {}webhook_secrets"))
    for secret in (made["secret"], second["secret"]):
        text = secret.removeprefix("whsec_")
        assert text not in kept + sealed
        for path_read in (path, "/admin/webhooks", f"{path}/deliveries", "/admin/audit"):
            assert text not in (await here.api.get(path_read, bearer=session.token)).text


WRONG: list[dict[str, object]] = [
    {"url": "http://hooks.example.com/"},
    {"url": "https://10.0.0.1/"},
    {"url": "https://user:x@hooks.example.com/"},
    {"url": "https://hooks.example.com:0/"},
    {"url": "https://localhost/"},
    {"url": None},
    {"events": []},
    {"events": ["auth.apikey"]},
    {"events": ["auth.*"]},
    {"events": ["auth.nothing.*"]},
    {"events": ["auth.apikey.creat*"]},
    {"events": ["**"]},
    {"events": [""]},
    {"events": "auth.apikey.*"},
    {"events": None},
    {"description": "x" * 501},
    {"description": "the\u202eshop"},
    {"enabled": None},
    {"enabled": 1},
    {"secret": "whsec_x"},
    {"organizationId": UNKNOWN},
]


async def test_wrong_input_is_refused_at_both_ends(here: Timed) -> None:
    session = await administrator_of(here)
    made = await make(here.api, session, "/admin/webhooks")
    path = f"/admin/webhooks/{made['webhook']['id']}"
    for wrong in WRONG:
        refused(await here.api.patch(path, wrong, bearer=session.token), 400, "VALIDATION_ERROR")
        answer = await here.api.post("/admin/webhooks", {**NEW, **wrong}, bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")
    assert accepted(await here.api.get(path, bearer=session.token)) == {"webhook": made["webhook"]}
    assert accepted(await here.api.get("/admin/webhooks", bearer=session.token))["total"] == 1


async def test_hosts_allowed_to_administrators_are_not_allowed_to_organizations(deploy: Deploy) -> None:
    here = await deploy(
        webhook_allowed_hosts="127.0.0.1,10.0.0.7", organization_webhook_allowed_hosts="10.0.0.7"
    )
    session = await administrator_of(here)
    owner, organization = await owner_of(here)
    base = f"/organizations/{organization}/webhooks"
    inside, shared = {"url": "http://127.0.0.1:9/"}, {"url": "http://10.0.0.7/"}
    await make(here.api, session, "/admin/webhooks", **inside)
    made = await make(here.api, owner, base, **shared)
    answer = await here.api.post(base, {**NEW, **inside}, bearer=owner.token)
    refused(answer, 400, "VALIDATION_ERROR")
    answer = await here.api.patch(f"{base}/{made['webhook']['id']}", inside, bearer=owner.token)
    refused(answer, 400, "VALIDATION_ERROR")


async def test_log_and_replay_refuse_what_they_do_not_know(here: Timed) -> None:
    session = await administrator_of(here)
    made = await make(here.api, session, "/admin/webhooks")
    path = f"/admin/webhooks/{made['webhook']['id']}"
    refused(
        await here.api.get(f"{path}/deliveries?status=lost", bearer=session.token), 400, "VALIDATION_ERROR"
    )
    for body in ({}, {"since": "yesterday"}, {"since": "2025-01-01T00:00:00Z", "deliveryId": UNKNOWN}):
        refused(await here.api.post(f"{path}/replay", body, bearer=session.token), 400, "VALIDATION_ERROR")
    for unknown in (UNKNOWN, "x"):
        body = {"deliveryId": unknown}
        refused(await here.api.post(f"{path}/replay", body, bearer=session.token), 404, "NOT_FOUND")
        refused(
            await here.api.post(f"/admin/webhooks/{unknown}/test", bearer=session.token), 404, "NOT_FOUND"
        )


async def test_twenty_endpoints_and_no_more_however_many_ask_at_once(here: Timed) -> None:
    session = await administrator_of(here)
    answers = await asyncio.gather(
        *(here.api.post("/admin/webhooks", NEW, bearer=session.token) for _ in range(24))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [409] * 4
    refused(await here.api.post("/admin/webhooks", NEW, bearer=session.token), 409, "WEBHOOK_LIMIT_REACHED")
    # Organizations count for themselves.
    owner, organization = await owner_of(here)
    await make(here.api, owner, f"/organizations/{organization}/webhooks")
    # In pages.
    first = accepted(await here.api.get("/admin/webhooks?limit=15", bearer=session.token))
    rest = accepted(
        await here.api.get(f"/admin/webhooks?limit=15&cursor={first['nextCursor']}", bearer=session.token)
    )
    assert (first["total"], rest["total"], rest["nextCursor"]) == (20, 20, None)
    assert len({each["id"] for each in first["webhooks"] + rest["webhooks"]}) == 20


async def test_request_that_is_repeated_makes_one_endpoint_and_one_secret(here: Timed) -> None:
    owner, organization = await owner_of(here)
    base = f"/organizations/{organization}/webhooks"
    member = await here.people.newcomer()
    await join(here.api, owner, organization, member, "admin")
    for path, body in ((base, NEW), (base + "/{id}/secret", {})):
        headers = {"idempotency-key": f"once for {path}"}
        made = accepted(await here.api.get(base, bearer=owner.token))["webhooks"]
        address = path.format(id=made[0]["id"] if made else "")
        answers = [await here.api.post(address, body, bearer=owner.token, headers=headers) for _ in range(2)]
        assert accepted(answers[0], 201) == accepted(answers[1], 201)
    listed = accepted(await here.api.get(base, bearer=owner.token))
    assert listed["total"] == 1
    counted = await sql(here.auth.settings.storage_url, "SELECT count(*) FROM {}webhook_secrets")
    assert counted == [(2,)]


async def test_replaced_secrets_are_bounded(here: Timed) -> None:
    session = await administrator_of(here)
    made = await make(here.api, session, "/admin/webhooks")
    path = f"/admin/webhooks/{made['webhook']['id']}/secret"
    for _ in range(9):
        accepted(await here.api.post(path, bearer=session.token), 201)
    refused(await here.api.post(path, bearer=session.token), 409, "WEBHOOK_SECRET_LIMIT_REACHED")
