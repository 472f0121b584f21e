"""Webhooks over REST: who may do what, what is refused, and what is shown (docs/reference/events.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as ReferenceWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from tests.contract.acting import UNKNOWN, create_key, eventually, found, join
from tests.contract.api import Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import everything, sql
from tests.contract.deployments import Timed
from tests.contract.people import Session
from tests.support.receiver import Receiver, status

URL = "https://hooks.example.com/czo"
NEW = {"url": URL, "events": ["auth.apikey.*"]}


async def deployment_of(deploy: Deploy, **more: Any) -> Timed:
    # The reference library compares with the real clock.
    chosen = {"now": datetime.now(UTC).replace(microsecond=0), **more}
    return await deploy(
        webhook_allowed_hosts="127.0.0.1", organization_webhook_allowed_hosts="127.0.0.1", **chosen
    )


@pytest.fixture
async def here(deploy: Deploy) -> Timed:
    return await deployment_of(deploy)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def administrator_of(here: Timed) -> Session:
    here.time.advance(seconds=31)
    challenge = await here.people.challenge(here.ada, "admin")
    return Session.of(await here.people.verify(here.ada.has.code(), challenge=challenge))


async def owner_of(here: Timed) -> tuple[Session, str]:
    _, session = await here.people.newcomer()
    return session, await found(here.api, session)


async def make(api: Api, session: Session, base: str, **more: object) -> dict[str, Any]:
    body: dict[str, Any] = accepted(await api.post(base, {**NEW, **more}, bearer=session.token), 201)
    return body


async def delivered(
    here: Timed, session: Session, base: str, webhook_id: str, **query: str
) -> list[dict[str, Any]]:
    answer = await here.api.get(f"{base}/{webhook_id}/deliveries", bearer=session.token)
    deliveries: list[dict[str, Any]] = accepted(answer)["deliveries"]
    return deliveries


async def settled(
    here: Timed, session: Session, base: str, webhook_id: str, *statuses: str
) -> list[dict[str, Any]]:
    """Wait until the log, newest first, shows exactly *statuses*."""

    async def holds() -> bool:
        return [each["status"] for each in await delivered(here, session, base, webhook_id)] == list(statuses)

    await eventually(holds, within=30)
    return await delivered(here, session, base, webhook_id)


async def attempted(here: Timed, session: Session, base: str, webhook_id: str, *, times: int) -> None:
    """Wait until the log's newest line counts so many attempts: before, the clock must not be moved."""

    async def holds() -> bool:
        return [each["attempts"] for each in await delivered(here, session, base, webhook_id)][:1] == [times]

    await eventually(holds, within=60)


# --- administrators --------------------------------------------------------------------------------------------------
async def test_life_of_an_endpoint(here: Timed) -> None:
    session = await administrator_of(here)
    answer = await here.api.post("/admin/webhooks", {**NEW, "description": "the shop"}, bearer=session.token)
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


async def test_secret_is_shown_once_and_rests_sealed(here: Timed) -> None:
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


# --- who may ---------------------------------------------------------------------------------------------------------
CALLS = [
    ("POST", "", NEW),
    ("GET", "", None),
    ("GET", "/{id}", None),
    ("PATCH", "/{id}", {"enabled": False}),
    ("DELETE", "/{id}", None),
    ("POST", "/{id}/secret", None),
    ("POST", "/{id}/test", None),
    ("GET", "/{id}/deliveries", None),
    ("POST", "/{id}/replay", {"since": "2025-01-01T00:00:00Z"}),
]


async def call(here: Timed, number: int, base: str, webhook_id: str, bearer: str | None) -> Any:
    method, path, body = CALLS[number]
    sent = [] if body is None else [body]
    return await here.api.call(method, base + path.format(id=webhook_id), *sent, bearer=bearer)


async def test_nobody_else_reaches_the_endpoints(here: Timed) -> None:
    ada = await administrator_of(here)
    owner, organization = await owner_of(here)
    owners = f"/organizations/{organization}/webhooks"
    theirs = (await make(here.api, owner, owners))["webhook"]["id"]
    ours = (await make(here.api, ada, "/admin/webhooks"))["webhook"]["id"]
    stranger = await here.people.newcomer()
    admin = await here.people.newcomer()
    await join(here.api, owner, organization, admin, "admin")
    key = await create_key(here.api, owner, organizationId=organization)
    for number, (_, path, _) in enumerate(CALLS):
        refused(await call(here, number, owners, theirs, None), 401, "UNAUTHORIZED")
        refused(await call(here, number, owners, theirs, stranger[1].token), 404, "NOT_FOUND")
        refused(await call(here, number, "/admin/webhooks", ours, owner.token), 403, "FORBIDDEN")
        # Administrators have no business in organizations.
        refused(await call(here, number, owners, theirs, ada.token), 404, "NOT_FOUND")
        refused(await call(here, number, owners, theirs, admin[1].token), 403, "FORBIDDEN")
        refused(await call(here, number, owners, theirs, key["key"]), 403, "SESSION_REQUIRED")
        if path:
            # The other kind's id is unknown on either path.
            refused(await call(here, number, owners, ours, owner.token), 404, "NOT_FOUND")
            refused(await call(here, number, "/admin/webhooks", theirs, ada.token), 404, "NOT_FOUND")


async def test_every_change_asks_for_a_recent_proof(here: Timed) -> None:
    account, owner = await here.people.newcomer()
    owners = f"/organizations/{await found(here.api, owner)}/webhooks"
    theirs = (await make(here.api, owner, owners))["webhook"]["id"]
    here.time.advance(minutes=11)
    for number, (method, _, _) in enumerate(CALLS):
        if method != "GET":
            answer = await call(here, number, owners, theirs, owner.token)
            refused(answer, 403, "REAUTHENTICATION_REQUIRED")
    # A proof may come along; one that is wrong is refused by its name.
    path = f"{owners}/{theirs}"
    wrong = {"description": "x", "password": "not the password"}
    refused(await here.api.patch(path, wrong, bearer=owner.token), 400, "INVALID_PASSWORD")
    body = {"description": "x", "password": account.password}
    changed = accepted(await here.api.patch(path, body, bearer=owner.token))["webhook"]
    assert changed["description"] == "x"
    listed = accepted(await here.api.get(owners, bearer=owner.token))
    assert [(each["id"], each["enabled"]) for each in listed["webhooks"]] == [(theirs, True)]


# --- what arrives ----------------------------------------------------------------------------------------------------
async def test_event_arrives_signed_and_the_log_says_so(here: Timed, receiver: Receiver) -> None:
    session = await administrator_of(here)
    made = await make(here.api, session, "/admin/webhooks", url=receiver.url)
    account, customer = await here.people.newcomer()
    key = await create_key(here.api, customer)
    (request,) = await receiver.wait_for(1)
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    event = ReferenceWebhook(made["secret"]).verify(request.body, request.headers)
    assert event["type"] == "auth.apikey.created"
    assert event["id"] == request.id
    assert event["subject"] == account.id
    assert event["specversion"] == "1.0"
    assert event["data"]["apiKeyId"] == key["id"]
    assert key["key"] not in request.body.decode()
    base = "/admin/webhooks"
    (line,) = await settled(here, session, base, made["webhook"]["id"], "delivered")
    assert line == {
        "id": line["id"],
        "eventId": request.id,
        "type": "auth.apikey.created",
        "attempts": 1,
        "status": "delivered",
        "responseStatus": 200,
        "error": None,
        "createdAt": line["createdAt"],
        "nextAt": None,
    }


async def test_test_event_goes_to_one_endpoint_alone(here: Timed, receiver: Receiver) -> None:
    session = await administrator_of(here)
    async with Receiver() as other:
        base = "/admin/webhooks"
        made = await make(here.api, session, base, url=receiver.url)
        await make(here.api, session, base, url=other.url, events=["*"])
        path = f"{base}/{made['webhook']['id']}"
        accepted(await here.api.post(f"{path}/test", bearer=session.token), 202)
        (request,) = await receiver.wait_for(1)
        assert request.event["type"] == "auth.webhook.test"
        assert request.event["data"] == {"webhookId": made["webhook"]["id"], "userId": None}
        assert other.requests == []
    accepted(await here.api.patch(path, {"enabled": False}, bearer=session.token))
    refused(await here.api.post(f"{path}/test", bearer=session.token), 409, "WEBHOOK_DISABLED")


async def test_owners_receive_what_concerns_their_organization_and_nothing_of_its_people(
    here: Timed, receiver: Receiver
) -> None:
    owner, organization = await owner_of(here)
    base = f"/organizations/{organization}/webhooks"
    made = await make(
        here.api, owner, base, url=receiver.url, events=["*", "auth.2fa.*", "auth.session.created"]
    )
    # Of a member, who acts in the organization: sign-in, factor, profile.
    member = await here.people.newcomer()
    await join(here.api, owner, organization, member)
    accepted(await here.api.post(f"/organizations/{organization}/activate", bearer=member[1].token))
    session = await here.people.enroll(*member)
    accepted(await here.api.post(f"/organizations/{organization}/activate", bearer=session.token))
    accepted(await here.api.post("/update-user", {"name": "Grace"}, bearer=session.token))
    await create_key(here.api, session)
    # Of another organization.
    await create_key(here.api, owner, organizationId=await found(here.api, owner, "Other"))
    await create_key(here.api, owner, organizationId=organization)
    await receiver.wait_for(2)
    accepted(await here.api.post(f"{base}/{made['webhook']['id']}/test", bearer=owner.token), 202)
    requests = await receiver.wait_for(3)
    assert [request.event["type"] for request in requests] == [
        "auth.org.member_added",
        "auth.apikey.created",
        "auth.webhook.test",
    ]
    assert {request.event["data"]["organizationId"] for request in requests} == {organization}


async def test_endpoint_that_is_off_gets_nothing_of_that_time_unless_it_is_replayed(
    here: Timed, receiver: Receiver
) -> None:
    session = await administrator_of(here)
    base = "/admin/webhooks"
    made = await make(here.api, session, base, url=receiver.url)
    path = f"{base}/{made['webhook']['id']}"
    accepted(await here.api.patch(path, {"enabled": False}, bearer=session.token))
    off_at = here.clock()
    _, customer = await here.people.newcomer()
    missed = [await create_key(here.api, customer) for _ in range(3)]
    here.time.advance(seconds=1)
    accepted(await here.api.patch(path, {"enabled": True}, bearer=session.token))
    await create_key(here.api, customer)
    (request,) = await receiver.wait_for(1)
    since = off_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    accepted(await here.api.post(f"{path}/replay", {"since": since}, bearer=session.token), 202)
    requests = await receiver.wait_for(5)
    replayed = [each.event["data"]["apiKeyId"] for each in requests[1:4]]
    assert replayed == [key["id"] for key in missed]
    # What had arrived is sent again, with the same id.
    assert requests[4].id == request.id
    lines = await settled(here, session, base, made["webhook"]["id"], *["delivered"] * 4)
    body = {"deliveryId": lines[0]["id"]}
    accepted(await here.api.post(f"{path}/replay", body, bearer=session.token), 202)
    again = (await receiver.wait_for(6))[5]
    assert again.id == lines[0]["eventId"]


async def test_failure_is_tried_again_and_dies_at_the_end(deploy: Deploy, receiver: Receiver) -> None:
    here = await deployment_of(deploy, webhook_retry_seconds="60,600")
    session = await administrator_of(here)
    base = "/admin/webhooks"
    made = await make(here.api, session, base, url=receiver.url)
    receiver.answer = status(503)
    _, customer = await here.people.newcomer()
    await create_key(here.api, customer)
    for attempts, seconds in ((1, 67), (2, 670)):
        await attempted(here, session, base, made["webhook"]["id"], times=attempts)
        (line,) = await delivered(here, session, base, made["webhook"]["id"])
        assert (line["status"], line["responseStatus"]) == ("pending", 503)
        here.time.advance(seconds=seconds)
    (line,) = await settled(here, session, base, made["webhook"]["id"], "dead")
    assert (line["attempts"], line["nextAt"]) == (3, None)
    assert len({request.id for request in receiver.requests}) == 1
    assert (
        accepted(
            await here.api.get(f"{base}/{made['webhook']['id']}/deliveries?status=dead", bearer=session.token)
        )["total"]
        == 1
    )


async def test_endpoint_dead_for_five_days_is_switched_off_and_its_owner_mailed(
    deploy: Deploy, receiver: Receiver
) -> None:
    here = await deployment_of(deploy, webhook_retry_seconds="1", session_days=30)
    account, owner = await here.people.newcomer()
    organization = await found(here.api, owner)
    base = f"/organizations/{organization}/webhooks"
    made = await make(here.api, owner, base, url=receiver.url)
    path = f"{base}/{made['webhook']['id']}"
    receiver.answer = status(500)
    await create_key(here.api, owner, organizationId=organization)
    await attempted(here, owner, base, made["webhook"]["id"], times=1)
    here.time.advance(seconds=2)
    await settled(here, owner, base, made["webhook"]["id"], "dead")
    here.time.advance(days=4, hours=23)
    await asyncio.sleep(0.1)
    assert accepted(await here.api.get(path, bearer=owner.token))["webhook"]["enabled"] is True
    here.time.advance(hours=2)

    async def is_off() -> bool:
        webhook = accepted(await here.api.get(path, bearer=owner.token))["webhook"]
        return (webhook["enabled"], webhook["disabledReason"]) == (False, "dead")

    await eventually(is_off, within=30)

    async def is_mailed() -> bool:
        return [mail.to for mail in here.mail.messages if mail.kind == "webhook_switched_off"] == [
            account.email
        ]

    await eventually(is_mailed, within=30)


async def test_both_secrets_sign_for_a_day(here: Timed, receiver: Receiver) -> None:
    session = await administrator_of(here)
    base = "/admin/webhooks"
    made = await make(here.api, session, base, url=receiver.url)
    path = f"{base}/{made['webhook']['id']}"
    second = accepted(await here.api.post(f"{path}/secret", bearer=session.token), 201)["secret"]
    accepted(await here.api.post(f"{path}/test", bearer=session.token), 202)
    (request,) = await receiver.wait_for(1)
    assert len(request.headers["webhook-signature"].split()) == 2
    for secret in (made["secret"], second):
        ReferenceWebhook(secret).verify(request.body, request.headers)
    changed = request.body.replace(b"test", b"best")
    with pytest.raises(WebhookVerificationError):
        ReferenceWebhook(second).verify(changed, request.headers)
    here.time.advance(hours=24, seconds=1)
    session = await administrator_of(here)
    accepted(await here.api.post(f"{path}/test", bearer=session.token), 202)
    request = (await receiver.wait_for(2))[1]
    assert len(request.headers["webhook-signature"].split()) == 1


async def test_log_is_read_in_pages(here: Timed, receiver: Receiver) -> None:
    session = await administrator_of(here)
    base = "/admin/webhooks"
    made = await make(here.api, session, base, url=receiver.url)
    path = f"{base}/{made['webhook']['id']}"
    for _ in range(5):
        accepted(await here.api.post(f"{path}/test", bearer=session.token), 202)
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = accepted(await here.api.get(f"{path}/deliveries?limit=2{more}", bearer=session.token))
        assert page["total"] == 5
        seen += [line["id"] for line in page["deliveries"]]
        cursor = page["nextCursor"]
    assert len(set(seen)) == len(seen) == 5
