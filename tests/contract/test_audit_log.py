"""The audit log as administrators read it, and the chain that a forged record breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from czo_auth.core.events.chain import verify_chain
from tests.contract.acting import (
    UNKNOWN,
    change_actor_types,
    create_key,
)
from tests.contract.administering import ask
from tests.contract.checks import UUID7, accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.outbox import Outbox, audit_of
from tests.contract.people import Account, Session

AUDIT = {
    *("id", "at", "action", "outcome", "actorKind", "userId", "organizationId", "method", "ip"),
    *("userAgent", "requestId"),
}


# --- as it is read ---------------------------------------------------------------------------------------------------
async def test_audit_says_who_did_what_when_how_and_from_where(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, _ = await timed.people.newcomer()
    answer = await timed.api.post(
        f"/admin/users/{account.id}/ban",
        {"reason": "fraud"},
        bearer=admin.token,
        headers={"user-agent": "tests/1.0 \x7f", "x-request-id": "request-17", "x-forwarded-for": "6.6.6.6"},
    )
    accepted(answer)
    body = await ask(timed, admin, f"/admin/audit?userId={account.id}&action=auth.user.banned")
    assert set(body) >= {"audit", "total"}
    (record,) = body["audit"]
    assert set(record) >= AUDIT
    assert UUID7.fullmatch(record["id"])
    expected = {
        "at": timed.time.now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "action": "auth.user.banned",
        "outcome": "success",
        "actorKind": "user",
        "actorUserId": timed.ada.id,
        "userId": account.id,
        "organizationId": None,
        "method": "session",
        "ip": "127.0.0.1",
        "userAgent": "tests/1.0 \\u007f",
        "requestId": "request-17",
        "details": {"reason": "fraud"},
    }
    assert {name: record[name] for name in expected} == expected


async def test_audit_tells_how_somebody_proved_who_they_are(timed: Timed) -> None:
    account = timed.carol
    await timed.people.sign_in(account)
    challenge = await timed.people.challenge(account)
    accepted(await timed.people.redeem(account.codes[0], challenge=challenge))
    plain, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    refused(await timed.api.get("/admin/users", bearer=key["key"]), 403, "SESSION_REQUIRED")
    admin = await timed.people.sign_in(timed.ada, "admin")

    async def methods(of: Account, action: str) -> list[tuple[str, str]]:
        body = await ask(timed, admin, f"/admin/audit?userId={of.id}&action={action}")
        return [(record["method"], record["actorKind"]) for record in body["audit"]]

    assert (await methods(account, "auth.session.created"))[:2] == [("bkp", "user"), ("otp", "user")]
    assert await methods(account, "auth.2fa.backup_code_used") == [("bkp", "user")]
    assert await methods(plain, "auth.session.created") == [("pwd", "user")]
    assert await methods(plain, "auth.apikey.created") == [("session", "user")]
    assert await methods(plain, "auth.admin.access") == [("apikey", "api_key")]


async def test_failures_and_refused_administration_are_recorded_too(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    refused(await timed.api.get("/admin/audit", bearer=session.token), 403, "FORBIDDEN")
    account.password, right = "wrong password", account.password
    refused(await timed.people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")
    account.password = right
    carol = timed.carol
    challenge = await timed.people.challenge(carol)
    refused(await timed.people.verify(carol.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    admin = await timed.people.sign_in(timed.ada, "admin")

    async def outcomes(of: Account, action: str) -> list[str]:
        body = await ask(timed, admin, f"/admin/audit?userId={of.id}&action={action}")
        return [record["outcome"] for record in body["audit"]]

    assert await outcomes(account, "auth.admin.access") == ["denied"]
    assert await outcomes(account, "auth.sign_in") == ["failure"]
    assert await outcomes(carol, "auth.2fa.code") == ["failure"]


async def test_audit_is_read_newest_first_and_page_by_page(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer()
    for number in range(5):
        timed.time.advance(seconds=1)
        await create_key(timed.api, session, name=str(number))
    query = f"/admin/audit?userId={account.id}&action=auth.apikey.created"
    whole = await ask(timed, admin, query)
    assert [record["details"]["name"] for record in whole["audit"]] == ["4", "3", "2", "1", "0"]
    assert (whole["total"], whole["nextCursor"]) == (5, None)
    pages, cursor = [], None
    for _ in range(3):
        onwards = "" if cursor is None else f"&cursor={cursor}"
        page = await ask(timed, admin, f"{query}&limit=2{onwards}")
        assert page["total"] == 5
        pages += page["audit"]
        cursor = page["nextCursor"]
    assert pages == whole["audit"]
    assert cursor is None
    # A last page that is full is still the last.
    assert (await ask(timed, admin, f"{query}&limit=5"))["nextCursor"] is None
    everything = await ask(timed, admin, "/admin/audit?limit=200")
    assert len(everything["audit"]) > 5
    times = [record["at"] for record in everything["audit"]]
    assert times == sorted(times, reverse=True)
    assert (await ask(timed, admin, f"/admin/audit?userId={UNKNOWN}")) == {
        "audit": [],
        "total": 0,
        "nextCursor": None,
    }


async def test_audit_is_read_by_outcome_and_time(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer()
    await create_key(timed.api, session, name="early")
    timed.time.advance(seconds=60)
    middle = timed.time.now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    timed.time.advance(seconds=60)
    await create_key(timed.api, session, name="late")
    account.password = "wrong password"
    refused(await timed.people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")

    async def records(query: str) -> list[dict[str, Any]]:
        body = await ask(timed, admin, f"/admin/audit?userId={account.id}&{query}")
        assert body["total"] == len(body["audit"])
        return list(body["audit"])

    assert [each["action"] for each in await records("outcome=failure")] == ["auth.sign_in"]
    created = "action=auth.apikey.created"
    assert [each["details"]["name"] for each in await records(f"{created}&since={middle}")] == ["late"]
    assert [each["details"]["name"] for each in await records(f"{created}&until={middle}")] == ["early"]
    assert await records(f"{created}&since={middle}&until={middle}") == []


# --- the chain -------------------------------------------------------------------------------------------------------
async def test_every_event_has_an_audit_record(timed: Timed) -> None:
    outbox = Outbox(timed)
    account, session = await timed.people.newcomer()
    await create_key(timed.api, session)
    await change_actor_types(timed, account, add=["merchant"])
    records = {record.id: record for record in await audit_of(timed)}
    events = await outbox.events()
    assert events
    for event in events:
        record = records[event.id]
        assert (record.audit_event.action, record.audit_event.user_id, record.at) == (
            event.type,
            event.user_id,
            event.at,
        )


async def test_records_written_at_once_by_several_processes_are_one_chain(live: Live) -> None:
    people = await asyncio.gather(*(live.people.newcomer() for _ in range(4)))

    async def bustle(session: Session) -> None:
        for _ in range(4):
            key = await create_key(live.api, session)
            accepted(await live.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)

    await asyncio.gather(*(bustle(session) for _, session in people for _ in range(2)))
    records = await audit_of(live)
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert verify_chain(records) is None
    assert len({record.id for record in records}) == len(records)
    events = await Outbox(live).events()
    order = {record.id: record.sequence for record in records}
    assert [order[event.id] for event in events] == sorted(order[event.id] for event in events)


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE {}audit SET outcome = 'denied' WHERE sequence = 3",
        "UPDATE {}audit SET actor_user_id = 'x' WHERE sequence = 3",
        'UPDATE {}audit SET details = \'{"reason": "other"}\' WHERE sequence = 3',
        "UPDATE {}audit SET at = at + 1 WHERE sequence = 3",
        "UPDATE {}audit SET ip = NULL WHERE sequence = 3",
        "UPDATE {}audit SET previous_hash = hash WHERE sequence = 3",
        "DELETE FROM {}audit WHERE sequence = 2",
    ],
)
async def test_forged_record_breaks_the_chain_where_it_stands(timed: Timed, forgery: str) -> None:
    await timed.people.newcomer()
    assert verify_chain(await audit_of(timed)) is None
    await sql(timed.auth.settings.storage_url, forgery)
    assert verify_chain(await audit_of(timed)) == 3
