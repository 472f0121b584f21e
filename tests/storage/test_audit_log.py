"""What the journal promises, and the chain through the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from czo_auth.core.context import Context, system_context
from czo_auth.core.events import types
from czo_auth.core.events.chain import GENESIS, verify_chain
from czo_auth.core.events.types import AuditEvent, AuditFilter, AuditRecord, Event
from czo_auth.core.transaction import Transaction
from tests.support.records import HOUR, NOW, SECOND, a_user, an_id
from tests.support.rows import Rows

SYSTEM = system_context(NOW)
KEY_CREATED = AuditEvent(
    action=types.API_KEY_CREATED, user_id=an_id(), details={"keyId": "k", "n": [1, None]}
)


async def record(rows: Rows, *facts: AuditEvent, context: Context = SYSTEM) -> None:
    def step(tx: Transaction) -> None:
        for audit_event in facts:
            tx.record(audit_event)

    await rows.run(step, context)


async def events(rows: Rows, after: int = 0, limit: int = 1000) -> list[Event]:
    return list(await rows.run(lambda tx: tx.outbox.events_after(after, limit=limit)))


async def audit(rows: Rows, after: int = 0, limit: int = 1000) -> list[AuditRecord]:
    return list(await rows.run(lambda tx: tx.audit_log.audit_after(after, limit=limit)))


# recording
async def test_fact_becomes_event_and_audit_record(rows: Rows) -> None:
    organization_id = an_id()
    audit_event = replace(KEY_CREATED, organization_id=organization_id)
    context = Context(
        now=NOW,
        actor_kind="user",
        user_id=an_id(),
        organization_id=an_id(),
        method="otp",
        ip="192.0.2.1",
        user_agent="test",
        request_id="r1",
    )
    await record(rows, audit_event, context=context)
    (event,) = await events(rows)
    data = {"userId": audit_event.user_id, "organizationId": organization_id, "keyId": "k", "n": [1, None]}
    assert event == Event(
        sequence=1, id=event.id, type=types.API_KEY_CREATED, user_id=audit_event.user_id, at=NOW, data=data
    )
    (kept,) = await audit(rows)
    assert kept == AuditRecord(
        sequence=1,
        id=event.id,
        at=NOW,
        audit_event=audit_event,
        context=context,
        previous_hash=GENESIS,
        hash=kept.hash,
        version=2,
        origin=kept.origin,
    )


@pytest.mark.parametrize(
    ("action", "outcome", "is_told"),
    [
        (types.USER_BANNED, "success", True),
        (types.USER_BANNED, "denied", False),
        (types.SESSION_CREATED, "failure", False),
        (types.TWO_FACTOR_LOCKED, "failure", True),
        (types.REFRESH_REUSE_DETECTED, "denied", True),
        ("auth.sign_in", "success", False),
    ],
)
async def test_outbox_gets_what_subscribers_want_and_audit_gets_all(
    rows: Rows, action: str, outcome: types.Outcome, is_told: bool
) -> None:
    await record(rows, AuditEvent(action=action, outcome=outcome))
    assert len(await events(rows)) == is_told
    assert len(await audit(rows)) == 1


async def test_details_do_not_replace_whom_an_event_is_about(rows: Rows) -> None:
    await record(rows, replace(KEY_CREATED, details={"userId": "another"}))
    (event,) = await events(rows)
    assert event.data == {"userId": KEY_CREATED.user_id}


async def test_step_that_fails_leaves_no_trace(rows: Rows) -> None:
    def step(tx: Transaction) -> None:
        tx.users.add(a_user())
        tx.acting_as(system_context(NOW)).record(KEY_CREATED)
        raise LookupError

    with pytest.raises(LookupError):
        await rows.run(step)
    assert await events(rows) == []
    assert await audit(rows) == []
    assert await rows.run(lambda tx: tx.users.count()) == 0


async def test_details_are_kept_as_they_were_when_recorded(rows: Rows) -> None:
    details = {"a": ("x", "y")}

    def step(tx: Transaction) -> None:
        tx.acting_as(system_context(NOW)).record(replace(KEY_CREATED, details=details))
        details.clear()

    await rows.run(step)
    (kept,) = await audit(rows)
    assert kept.audit_event.details == {"a": ["x", "y"]}
    assert verify_chain([kept]) is None


@pytest.mark.parametrize("value", [NOW, {1, 2}, float("nan"), object()])
async def test_details_that_are_no_json_are_refused(rows: Rows, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        await record(rows, replace(KEY_CREATED, details={"a": value}))
    assert await audit(rows) == []


# the chain
async def test_chain_holds_over_transactions(rows: Rows) -> None:
    for number in range(3):
        at = NOW + timedelta(microseconds=number * 777_777)
        audit_event = AuditEvent(action="auth.sign_in", details={"é": number, "big": 2**60, "half": 0.5})
        await record(rows, audit_event, KEY_CREATED, context=system_context(at))
    records = await audit(rows)
    assert [kept.sequence for kept in records] == [1, 2, 3, 4, 5, 6]
    assert verify_chain(records) is None
    assert verify_chain(records[2:], records[1].hash) is None
    assert verify_chain([]) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: replace(kept, audit_event=replace(kept.audit_event, outcome="denied")),
        lambda kept: replace(kept, audit_event=replace(kept.audit_event, details={})),
        lambda kept: replace(kept, context=replace(kept.context, ip="192.0.2.9")),
        lambda kept: replace(kept, at=kept.at + timedelta(milliseconds=1)),
        lambda kept: replace(kept, id=an_id()),
        lambda kept: replace(kept, sequence=9),
        lambda kept: replace(kept, hash=GENESIS),
        lambda kept: replace(kept, previous_hash=GENESIS),
    ],
)
async def test_changed_record_breaks_the_chain(
    rows: Rows, change: Callable[[AuditRecord], AuditRecord]
) -> None:
    await record(rows, *[KEY_CREATED] * 4)
    records = await audit(rows)
    changed = [*records[:2], change(records[2]), records[3]]
    assert verify_chain(changed) == changed[2].sequence
    assert verify_chain([records[0], records[2], records[3]]) == 3
    assert verify_chain([records[0], records[2], records[1], records[3]]) == 3


# order
async def test_numbers_grow_in_the_order_of_the_commits(rows: Rows) -> None:
    """A reader that remembers the last number it saw misses nothing, though writers overlap."""
    seen: list[int] = []
    writing = True

    async def read() -> None:
        while True:
            last_round = not writing
            while batch := await events(rows, after=seen[-1] if seen else 0, limit=7):
                seen.extend(event.sequence for event in batch)
            if last_round:
                return
            await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(record(rows, KEY_CREATED, KEY_CREATED) for _ in range(32)))
    writing = False
    await reader
    assert len(seen) == 64
    assert seen == sorted(set(seen))
    assert verify_chain(await audit(rows)) is None


async def test_reading_goes_in_pages(rows: Rows) -> None:
    await record(rows, *[KEY_CREATED] * 5)
    assert [event.sequence for event in await events(rows, after=2, limit=2)] == [3, 4]
    assert [kept.sequence for kept in await audit(rows, after=2, limit=2)] == [3, 4]


async def test_audit_is_read_backwards_by_user_and_action(rows: Rows) -> None:
    user_id = an_id()
    mine, sign_in = replace(KEY_CREATED, user_id=user_id), AuditEvent(action="auth.sign_in", user_id=user_id)
    await record(rows, mine, KEY_CREATED, sign_in, mine)

    async def read(before: int | None, user_id: str | None, action: str | None) -> list[int]:
        matching = AuditFilter(user_id=user_id, action=action)
        records = await rows.run(lambda tx: tx.audit_log.audit_before(before, matching, limit=10))
        counted = await rows.run(lambda tx: tx.audit_log.count_audit(matching))
        assert before is not None or counted == len(records)
        return [kept.sequence for kept in records]

    assert await read(None, None, None) == [4, 3, 2, 1]
    assert await read(3, None, None) == [2, 1]
    assert await read(None, user_id, None) == [4, 3, 1]
    assert await read(None, user_id, "auth.sign_in") == [3]
    assert await read(None, None, types.API_KEY_CREATED) == [4, 2, 1]
    assert await read(4, user_id, types.API_KEY_CREATED) == [1]


async def test_audit_is_read_by_outcome_and_time(rows: Rows) -> None:
    failed = AuditEvent(action="auth.sign_in", outcome="failure")
    for hour, audit_event in enumerate((KEY_CREATED, failed, KEY_CREATED, failed)):
        await record(rows, audit_event, context=system_context(NOW + hour * HOUR))

    async def read(**wanted: Any) -> list[int]:
        matching = AuditFilter(**wanted)
        records = await rows.run(lambda tx: tx.audit_log.audit_before(None, matching, limit=10))
        assert await rows.run(lambda tx: tx.audit_log.count_audit(matching)) == len(records)
        return [kept.sequence for kept in records]

    assert await read(outcome="failure") == [4, 2]
    assert await read(since=NOW + HOUR) == [4, 3, 2]
    assert await read(until=NOW + HOUR) == [1]
    assert await read(outcome="failure", since=NOW, until=NOW + 2 * HOUR) == [2]


async def test_audit_is_read_forwards_from_a_place(rows: Rows) -> None:
    failed = AuditEvent(action="auth.sign_in", outcome="failure")
    await record(rows, KEY_CREATED, failed, KEY_CREATED, failed, KEY_CREATED)

    async def read(above: int, limit: int, **wanted: Any) -> list[int]:
        records = await rows.run(
            lambda tx: tx.audit_log.audit_above(above, AuditFilter(**wanted), limit=limit)
        )
        return [kept.sequence for kept in records]

    assert await read(1, 2) == [3, 2]
    assert await read(5, 2) == []
    assert await read(0, 2, outcome="failure") == [4, 2]


# sinks
async def claim(rows: Rows, owner: str, now: datetime = NOW) -> int | None:
    return await rows.run(lambda tx: tx.outbox.claim_sink("s", owner=owner, until=now + HOUR, now=now))


async def test_sink_has_one_owner_at_a_time(rows: Rows) -> None:
    assert await claim(rows, "a") == 0
    assert await claim(rows, "b") is None
    assert await claim(rows, "a", NOW + SECOND) == 0
    assert await claim(rows, "b", NOW + HOUR) is None
    assert await claim(rows, "b", NOW + HOUR + SECOND) == 0
    assert await claim(rows, "a", NOW + HOUR + SECOND) is None


async def test_sink_moves_forward_for_its_owner_only(rows: Rows) -> None:
    await claim(rows, "a")

    async def advance(owner: str, sequence: int) -> bool:
        return await rows.run(lambda tx: tx.outbox.advance_sink("s", owner=owner, sequence=sequence))

    assert await advance("a", 5)
    assert not await advance("b", 9)
    assert await advance("a", 3)
    assert await claim(rows, "a") == 5
    await rows.run(lambda tx: tx.outbox.release_sink("s", owner="b"))
    assert await claim(rows, "b") is None
    await rows.run(lambda tx: tx.outbox.release_sink("s", owner="a"))
    assert not await advance("a", 7)
    assert await claim(rows, "b") == 5


async def test_dead_lettered_event_is_kept_once_for_each_sink(rows: Rows) -> None:
    await record(rows, KEY_CREATED, KEY_CREATED)
    first, second = await events(rows)
    for sink, event in (("b", first), ("a", first), ("a", first), ("a", second)):
        await rows.run(lambda tx: tx.outbox.dead_letter(sink, event, error="too long", now=NOW))  # noqa: B023
    dead_lettered = await rows.run(lambda tx: tx.outbox.dead_letters(limit=10))
    found = [(letter.sink, letter.event, letter.error) for letter in dead_lettered]
    assert found == [("a", first, "too long"), ("b", first, "too long"), ("a", second, "too long")]
    after = (dead_lettered[0].event.sequence, "a")
    rest = await rows.run(lambda tx: tx.outbox.dead_letters(after=after, limit=10))
    assert rest == dead_lettered[1:]
    assert await rows.run(lambda tx: tx.outbox.dead_letters(sink="b", limit=10)) == dead_lettered[1:2]
    assert len(await rows.run(lambda tx: tx.outbox.dead_letters(limit=1))) == 1


async def test_dead_letter_is_replayed_until_it_is_taken(rows: Rows) -> None:
    await record(rows, KEY_CREATED, KEY_CREATED)
    first, second = await events(rows)
    for event in (first, second):
        await rows.run(lambda tx: tx.outbox.dead_letter("s", event, error="down", now=NOW))  # noqa: B023
    assert await rows.run(lambda tx: tx.outbox.replays("s", limit=10)) == []
    assert await rows.run(lambda tx: tx.outbox.replay(sink="t", event_id=None, now=NOW)) == 0
    assert await rows.run(lambda tx: tx.outbox.replay(sink="s", event_id=first.id, now=NOW)) == 1
    assert await rows.run(lambda tx: tx.outbox.replay(sink=None, event_id=None, now=NOW)) == 1
    assert await rows.run(lambda tx: tx.outbox.replays("s", limit=10)) == [first, second]
    await rows.run(lambda tx: tx.outbox.end_replay("s", first.sequence, error=None))
    await rows.run(lambda tx: tx.outbox.end_replay("s", second.sequence, error="still down"))
    (letter,) = await rows.run(lambda tx: tx.outbox.dead_letters(limit=10))
    assert (letter.event, letter.error, letter.replay_at) == (second, "still down", None)
    assert await rows.run(lambda tx: tx.outbox.prune_dead_letters(before=NOW)) == 0
    assert await rows.run(lambda tx: tx.outbox.prune_dead_letters(before=NOW + SECOND)) == 1


async def test_sink_that_is_new_begins_where_the_others_are(rows: Rows) -> None:
    async def place_of(name: str) -> int | None:
        await rows.run(lambda tx: tx.outbox.join_sinks([name], place="all"))
        return await rows.run(lambda tx: tx.outbox.claim_sink(name, owner="a", until=NOW + HOUR, now=NOW))

    assert await place_of("first") == 0
    for sequence in (7, 5):
        await rows.run(
            lambda tx: tx.outbox.advance_sink("first", owner="a", sequence=sequence, joins="all")  # noqa: B023
        )
    assert await place_of("second") == 7
    assert await place_of("first") == 7


async def test_events_are_pruned_when_every_sink_has_had_them(rows: Rows) -> None:
    await record(rows, *[KEY_CREATED] * 3)
    await record(rows, KEY_CREATED, context=system_context(NOW + HOUR))
    for sink, sequence in (("slow", 2), ("fast", 4)):

        def step(tx: Transaction) -> None:
            tx.outbox.claim_sink(sink, owner="a", until=NOW, now=NOW)  # noqa: B023
            tx.outbox.advance_sink(sink, owner="a", sequence=sequence)  # noqa: B023

        await rows.run(step)
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=NOW)) == 0
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=NOW + SECOND)) == 2
    assert [event.sequence for event in await events(rows)] == [3, 4]
    assert len(await audit(rows)) == 4


async def test_removed_sink_does_not_keep_events_forever(rows: Rows) -> None:
    await record(rows, *[KEY_CREATED] * 3)
    await record(rows, KEY_CREATED, context=SYSTEM.at(NOW + HOUR))
    await rows.run(lambda tx: tx.outbox.claim_sink("gone", owner="a", until=NOW, now=NOW))
    late = NOW + 2 * HOUR
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=late)) == 0
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=late, abandoned=NOW)) == 0
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=late, abandoned=NOW + SECOND)) == 3
    assert [event.sequence for event in await events(rows)] == [4]


async def test_sink_is_retired_when_no_process_serves_it(rows: Rows) -> None:
    await record(rows, *[KEY_CREATED] * 2)
    await rows.run(lambda tx: tx.outbox.claim_sink("old", owner="a", until=NOW + HOUR, now=NOW))
    assert not await rows.run(lambda tx: tx.outbox.retire_sink("old", now=NOW))
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=NOW + SECOND)) == 0
    assert await rows.run(lambda tx: tx.outbox.retire_sink("old", now=NOW + HOUR))
    assert not await rows.run(lambda tx: tx.outbox.retire_sink("old", now=NOW + HOUR))
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=NOW + SECOND)) == 2


async def test_number_is_not_given_again_after_the_newest_events_were_pruned(rows: Rows) -> None:
    await record(rows, KEY_CREATED, KEY_CREATED)
    assert await rows.run(lambda tx: tx.outbox.prune_events(before=NOW + SECOND)) == 2
    await record(rows, KEY_CREATED)
    assert [event.sequence for event in await events(rows)] == [3]
