"""What leaves the audit log and the outbox: personal parts of people, addresses, old records (S43)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from czo_auth.core.context import Context
from czo_auth.core.events import types
from czo_auth.core.events.chain import verify_chain
from czo_auth.core.events.types import AuditEvent, AuditRecord, Event
from czo_auth.core.transaction import Transaction
from tests.support.records import HOUR, NOW, an_id
from tests.support.rows import Rows

PERSON, ADMIN = an_id(), an_id()
OWN = Context(now=NOW, actor_kind="user", user_id=PERSON, ip="192.0.2.1", user_agent="own browser")
ADMINISTRATOR = Context(now=NOW, actor_kind="user", user_id=ADMIN, ip="192.0.2.99", user_agent="office")
STRANGER = Context(now=NOW, ip="192.0.2.1", user_agent="own browser")
KEY = AuditEvent(
    action=types.API_KEY_CREATED, user_id=PERSON, details={"apiKeyId": "k", "name": "Ada's laptop"}
)


async def record(rows: Rows, audit_event: AuditEvent, context: Context) -> None:
    await rows.run(lambda tx: tx.acting_as(context.at(NOW)).record(audit_event))


async def audit(rows: Rows) -> list[AuditRecord]:
    return list(await rows.run(lambda tx: tx.audit_log.audit_after(0, limit=10_000)))


async def erase(rows: Rows) -> None:
    await rows.run(lambda tx: tx.audit_removal.begin_erasure(PERSON, now=NOW))
    for step in ("erase_from_audit", "erase_from_events", "erase_from_dead_letters"):
        after: int | None = 0
        while after is not None:

            def batch(tx: Transaction, step: str = step, after: int = after) -> int | None:
                reached: int | None = getattr(tx.audit_removal, step)(PERSON, after=after, limit=2)
                return reached

            after = await rows.run(batch)


async def test_person_leaves_and_the_administrator_who_acted_stays(rows: Rows) -> None:
    await record(rows, KEY, OWN)
    await record(rows, KEY, ADMINISTRATOR)
    await record(rows, AuditEvent(action="auth.sign_in", user_id=PERSON, outcome="failure"), STRANGER)
    await record(rows, replace(KEY, user_id=ADMIN), ADMINISTRATOR)
    await erase(rows)
    own, acted_on, stranger, other = await audit(rows)
    assert verify_chain([own, acted_on, stranger, other]) is None
    assert (own.context.user_id, own.context.ip, own.context.user_agent) == (PERSON, None, None)
    assert own.audit_event.details == {"apiKeyId": "k"}
    assert (acted_on.context.ip, acted_on.context.user_agent) == ("192.0.2.99", "office")
    assert acted_on.audit_event.details == {"apiKeyId": "k"}
    assert stranger.context.ip is None
    assert other.audit_event.details == KEY.details
    assert other.context == ADMINISTRATOR


async def test_outbox_and_dead_lettered_events_lose_the_names(rows: Rows) -> None:
    await record(rows, KEY, OWN)
    event: Event = (await rows.run(lambda tx: tx.outbox.events_after(0, limit=1)))[0]
    await rows.run(lambda tx: tx.outbox.dead_letter("sink", event, error="no", now=NOW))
    await erase(rows)
    (kept,) = await rows.run(lambda tx: tx.outbox.events_after(0, limit=10))
    (letter,) = await rows.run(lambda tx: tx.outbox.dead_letters(limit=10))
    dead_lettered = letter.event
    assert kept.data == dead_lettered.data == {"apiKeyId": "k", "userId": PERSON}


async def test_request_that_is_still_under_way_records_nothing_personal(rows: Rows) -> None:
    await record(rows, KEY, ADMINISTRATOR)
    await erase(rows)
    await asyncio.gather(
        record(rows, KEY, OWN), record(rows, KEY, STRANGER), record(rows, KEY, ADMINISTRATOR)
    )
    records = (await audit(rows))[1:]
    assert verify_chain(await audit(rows)) is None
    assert {record.context.ip for record in records} == {None, "192.0.2.99"}
    assert all(record.audit_event.details == {"apiKeyId": "k"} for record in records)
    events = await rows.run(lambda tx: tx.outbox.events_after(0, limit=10))
    assert all("name" not in event.data for event in events)


async def test_records_that_are_written_while_a_person_is_erased_keep_nothing(rows: Rows) -> None:
    await record(rows, KEY, ADMINISTRATOR)

    async def write() -> None:
        for _ in range(10):
            await record(rows, KEY, OWN)

    await asyncio.gather(write(), write(), erase(rows), write())
    records = await audit(rows)
    assert verify_chain(records) is None
    assert not [one for one in records if one.context.ip == OWN.ip or "name" in one.audit_event.details]


@pytest.mark.parametrize(
    "change",
    [
        {"ip": "192.0.2.66"},
        {"ip": None},
        {"user_agent": None},
    ],
)
async def test_origin_that_was_changed_breaks_the_chain(rows: Rows, change: dict[str, Any]) -> None:
    for _ in range(3):
        await record(rows, KEY, OWN)
    records = await audit(rows)
    forged = replace(records[1], context=replace(records[1].context, **change))
    assert verify_chain([records[0], forged, records[2]]) == 2


async def test_origin_cannot_be_put_into_a_record_that_lost_its_own(rows: Rows) -> None:
    await record(rows, KEY, OWN)
    await erase(rows)
    (bare,) = await audit(rows)
    assert verify_chain([replace(bare, context=replace(bare.context, ip="192.0.2.66"))]) == 1
    details = {**bare.audit_event.details, "name": "another"}
    assert verify_chain([replace(bare, audit_event=replace(bare.audit_event, details=details))]) == 1


async def test_commitments_of_equal_values_differ(rows: Rows) -> None:
    await record(rows, KEY, OWN)
    await record(rows, KEY, OWN)
    first, second = await audit(rows)
    assert first.origin.digest != second.origin.digest
    assert first.personal.digest != second.personal.digest


async def test_addresses_leave_older_records_only(rows: Rows) -> None:
    await record(rows, KEY, OWN)
    await rows.run(lambda tx: tx.acting_as(OWN.at(NOW + HOUR)).record(KEY))
    done = await rows.run(
        lambda tx: tx.audit_removal.remove_addresses(after=0, before=NOW + timedelta(seconds=1), limit=10)
    )
    assert done == (1, 1)
    old, young = await audit(rows)
    assert (old.context.ip, old.audit_event.details) == (None, KEY.details)
    assert young.context.ip == OWN.ip
    assert verify_chain([old, young]) is None
