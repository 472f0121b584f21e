"""What leaves the audit log and the outbox: personal parts of people, addresses, old records (S43)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from czo_auth.core.context import Provenance
from czo_auth.core.events import types
from czo_auth.core.events.chain import verify_chain
from czo_auth.core.events.store import Erasure
from czo_auth.core.events.types import AuditRecord, Event, Fact
from czo_auth.core.transaction import Transaction
from tests.storage.rows import HOUR, NOW, Things, an_id

PERSON, ADMIN = an_id(), an_id()
OWN = Provenance(actor_kind="user", user_id=PERSON, ip="192.0.2.1", user_agent="own browser")
ADMINISTRATOR = Provenance(actor_kind="user", user_id=ADMIN, ip="192.0.2.99", user_agent="office")
STRANGER = Provenance(ip="192.0.2.1", user_agent="own browser")
KEY = Fact(action=types.API_KEY_CREATED, user_id=PERSON, details={"apiKeyId": "k", "name": "Ada's laptop"})


async def record(things: Things, fact: Fact, provenance: Provenance) -> None:
    await things.run(lambda tx: tx.journal.record(fact, provenance=provenance, now=NOW))


async def audit(things: Things) -> list[AuditRecord]:
    return list(await things.run(lambda tx: tx.journal.audit_after(0, limit=10_000)))


async def erase(things: Things) -> None:
    await things.run(lambda tx: tx.audit_removal.begin_erasure(Erasure(user_id=PERSON, erased_at=NOW)))
    for step in ("erase_from_audit", "erase_from_events", "erase_from_parked_events"):
        after: int | None = 0
        while after is not None:

            def batch(tx: Transaction, step: str = step, after: int = after) -> int | None:
                reached: int | None = getattr(tx.audit_removal, step)(PERSON, after=after, limit=2)
                return reached

            after = await things.run(batch)


async def test_person_leaves_and_the_administrator_who_acted_stays(things: Things) -> None:
    await record(things, KEY, OWN)
    await record(things, KEY, ADMINISTRATOR)
    await record(things, Fact(action="auth.sign_in", user_id=PERSON, outcome="failure"), STRANGER)
    await record(things, replace(KEY, user_id=ADMIN), ADMINISTRATOR)
    await erase(things)
    own, acted_on, stranger, other = await audit(things)
    assert verify_chain([own, acted_on, stranger, other]) is None
    assert (own.provenance.user_id, own.provenance.ip, own.provenance.user_agent) == (PERSON, None, None)
    assert own.fact.details == {"apiKeyId": "k"}
    assert (acted_on.provenance.ip, acted_on.provenance.user_agent) == ("192.0.2.99", "office")
    assert acted_on.fact.details == {"apiKeyId": "k"}
    assert stranger.provenance.ip is None
    assert other.fact.details == KEY.details
    assert other.provenance == ADMINISTRATOR


async def test_outbox_and_parked_events_lose_the_names(things: Things) -> None:
    await record(things, KEY, OWN)
    event: Event = (await things.run(lambda tx: tx.journal.events_after(0, limit=1)))[0]
    await things.run(lambda tx: tx.journal.park("sink", event, error="no", now=NOW))
    await erase(things)
    (kept,) = await things.run(lambda tx: tx.journal.events_after(0, limit=10))
    ((_, parked, _),) = await things.run(lambda tx: tx.journal.parked(limit=10))
    assert kept.data == parked.data == {"apiKeyId": "k", "userId": PERSON}


async def test_request_that_is_still_under_way_records_nothing_personal(things: Things) -> None:
    await record(things, KEY, ADMINISTRATOR)
    await erase(things)
    await asyncio.gather(
        record(things, KEY, OWN), record(things, KEY, STRANGER), record(things, KEY, ADMINISTRATOR)
    )
    records = (await audit(things))[1:]
    assert verify_chain(await audit(things)) is None
    assert {record.provenance.ip for record in records} == {None, "192.0.2.99"}
    assert all(record.fact.details == {"apiKeyId": "k"} for record in records)
    events = await things.run(lambda tx: tx.journal.events_after(0, limit=10))
    assert all("name" not in event.data for event in events)


async def test_records_that_are_written_while_a_person_is_erased_keep_nothing(things: Things) -> None:
    await record(things, KEY, ADMINISTRATOR)

    async def write() -> None:
        for _ in range(10):
            await record(things, KEY, OWN)

    await asyncio.gather(write(), write(), erase(things), write())
    records = await audit(things)
    assert verify_chain(records) is None
    assert not [one for one in records if one.provenance.ip == OWN.ip or "name" in one.fact.details]


@pytest.mark.parametrize(
    "change",
    [
        {"ip": "192.0.2.66"},
        {"ip": None},
        {"user_agent": None},
    ],
)
async def test_origin_that_was_changed_breaks_the_chain(
    things: Things, change: dict[str, str | None]
) -> None:
    for _ in range(3):
        await record(things, KEY, OWN)
    records = await audit(things)
    forged = replace(records[1], provenance=replace(records[1].provenance, **change))
    assert verify_chain([records[0], forged, records[2]]) == 2


async def test_origin_cannot_be_put_into_a_record_that_lost_its_own(things: Things) -> None:
    await record(things, KEY, OWN)
    await erase(things)
    (bare,) = await audit(things)
    assert verify_chain([replace(bare, provenance=replace(bare.provenance, ip="192.0.2.66"))]) == 1
    details = {**bare.fact.details, "name": "another"}
    assert verify_chain([replace(bare, fact=replace(bare.fact, details=details))]) == 1


async def test_commitments_of_equal_values_differ(things: Things) -> None:
    await record(things, KEY, OWN)
    await record(things, KEY, OWN)
    first, second = await audit(things)
    assert first.origin.digest != second.origin.digest
    assert first.personal.digest != second.personal.digest


async def test_addresses_leave_older_records_only(things: Things) -> None:
    await record(things, KEY, OWN)
    await things.run(lambda tx: tx.journal.record(KEY, provenance=OWN, now=NOW + HOUR))
    done = await things.run(
        lambda tx: tx.audit_removal.remove_addresses(after=0, before=NOW + timedelta(seconds=1), limit=10)
    )
    assert done == (1, 1)
    old, young = await audit(things)
    assert (old.provenance.ip, old.fact.details) == (None, KEY.details)
    assert young.provenance.ip == OWN.ip
    assert verify_chain([old, young]) is None
