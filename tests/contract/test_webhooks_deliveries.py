"""Webhooks over REST: which events arrive, when they are tried again, and what the log shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from standardwebhooks.webhooks import Webhook as ReferenceWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from czo_auth.core.flows.webhooks.disable_dead import DisableDeadEndpoints
from tests.contract.acting import create_key, create_organization, eventually, join
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.webhooks import (
    administrator_of,
    deliveries_of,
    deployment_of,
    make,
    owner_of,
    wait_for_attempts,
    wait_for_statuses,
)
from tests.support.receiver import Receiver, status


@pytest.fixture
async def here(deploy: Deploy) -> Timed:
    return await deployment_of(deploy)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


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
    (line,) = await wait_for_statuses(here, session, base, made["webhook"]["id"], "delivered")
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
    await create_key(here.api, owner, organizationId=await create_organization(here.api, owner, "Other"))
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
    lines = await wait_for_statuses(here, session, base, made["webhook"]["id"], *["delivered"] * 4)
    body = {"deliveryId": lines[0]["id"]}
    accepted(await here.api.post(f"{path}/replay", body, bearer=session.token), 202)
    again = (await receiver.wait_for(6))[5]
    assert again.id == lines[0]["eventId"]


async def test_delivery_is_sent_again_and_listed_only_at_its_own_endpoint(
    here: Timed, receiver: Receiver
) -> None:
    session = await administrator_of(here)
    owner, organization = await owner_of(here)
    webhook_id = (await make(here.api, session, "/admin/webhooks", url=receiver.url))["webhook"]["id"]
    accepted(await here.api.post(f"/admin/webhooks/{webhook_id}/test", bearer=session.token), 202)
    before = await wait_for_statuses(here, session, "/admin/webhooks", webhook_id, "delivered")
    for person, base in ((session, "/admin/webhooks"), (owner, f"/organizations/{organization}/webhooks")):
        other = (await make(here.api, person, base))["webhook"]["id"]
        body = {"deliveryId": before[0]["id"]}
        refused(await here.api.post(f"{base}/{other}/replay", body, bearer=person.token), 404, "NOT_FOUND")
        assert await deliveries_of(here, person, base, other) == []
    assert await deliveries_of(here, session, "/admin/webhooks", webhook_id) == before


async def test_failed_delivery_is_retried_and_then_given_up(deploy: Deploy, receiver: Receiver) -> None:
    here = await deployment_of(deploy, webhook_retry_seconds="60,600")
    session = await administrator_of(here)
    base = "/admin/webhooks"
    made = await make(here.api, session, base, url=receiver.url)
    receiver.answer = status(503)
    _, customer = await here.people.newcomer()
    await create_key(here.api, customer)
    for attempts, seconds in ((1, 67), (2, 670)):
        await wait_for_attempts(here, session, base, made["webhook"]["id"], times=attempts)
        (line,) = await deliveries_of(here, session, base, made["webhook"]["id"])
        assert (line["status"], line["responseStatus"]) == ("pending", 503)
        here.time.advance(seconds=seconds)
    (line,) = await wait_for_statuses(here, session, base, made["webhook"]["id"], "dead")
    assert (line["attempts"], line["nextAt"]) == (3, None)
    assert len({request.id for request in receiver.requests}) == 1
    # Each attempt is signed with its own time: receivers refuse signatures that are minutes old.
    first, *later = (int(request.headers["webhook-timestamp"]) for request in receiver.requests)
    assert [at - first for at in later] == [67, 67 + 670]
    path = f"{base}/{made['webhook']['id']}/deliveries"
    for chosen, expected in (("dead", [line]), ("delivered", []), ("pending", [])):
        found = accepted(await here.api.get(f"{path}?status={chosen}", bearer=session.token))
        assert (found["deliveries"], found["total"]) == (expected, len(expected)), chosen


async def test_endpoint_dead_for_five_days_is_switched_off_and_its_owner_mailed(
    deploy: Deploy, receiver: Receiver
) -> None:
    here = await deployment_of(deploy, webhook_retry_seconds="1", session_days=30)
    account, owner = await here.people.newcomer()
    organization = await create_organization(here.api, owner)
    base = f"/organizations/{organization}/webhooks"
    made = await make(here.api, owner, base, url=receiver.url)
    path = f"{base}/{made['webhook']['id']}"
    receiver.answer = status(500)
    await create_key(here.api, owner, organizationId=organization)
    await wait_for_attempts(here, owner, base, made["webhook"]["id"], times=1)
    here.time.advance(seconds=2)
    await wait_for_statuses(here, owner, base, made["webhook"]["id"], "dead")
    here.time.advance(days=4, hours=23)
    await DisableDeadEndpoints(here.auth.services).run(now=here.clock())
    assert accepted(await here.api.get(path, bearer=owner.token))["webhook"]["enabled"] is True
    here.time.advance(hours=2)

    async def is_off() -> bool:
        webhook = accepted(await here.api.get(path, bearer=owner.token))["webhook"]
        return (webhook["enabled"], webhook["disabledReason"]) == (False, "dead")

    await eventually(is_off, within=60)

    async def is_mailed() -> bool:
        return [mail.to for mail in here.mail.messages if mail.kind == "webhook_switched_off"] == [
            account.email
        ]

    await eventually(is_mailed, within=60)


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


async def test_deliveries_and_their_events_are_kept_for_thirty_days(here: Timed, receiver: Receiver) -> None:
    session = await administrator_of(here)
    base = "/admin/webhooks"
    made = await make(here.api, session, base, url=receiver.url)
    path = f"{base}/{made['webhook']['id']}"
    _, customer = await here.people.newcomer()
    await create_key(here.api, customer)
    await wait_for_statuses(here, session, base, made["webhook"]["id"], "delivered")
    for days, kept in ((29, True), (2, False)):
        here.time.advance(days=days)
        await here.auth._housekeeping.tidy()
        session = await administrator_of(here)
        found = await deliveries_of(here, session, base, made["webhook"]["id"])
        assert len(found) == kept
        if kept:
            body = {"deliveryId": found[0]["id"]}
            accepted(await here.api.post(f"{path}/replay", body, bearer=session.token), 202)
            assert (await receiver.wait_for(2))[1].id == found[0]["eventId"]
