"""Revision 0005: the audit log of before verifies before and after, and personal parts can leave it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from czo_auth.core.context import Context, system_context
from czo_auth.core.events.chain import GENESIS, chain_hash, verify_chain
from czo_auth.core.events.types import AUDIT_VERSION_1_CLOSED, AuditEvent, AuditRecord
from czo_auth.storage import migrate, open_storage
from tests.migrations.databases import execute, fetch_rows
from tests.support.records import NOW
from tests.support.rows import Rows


async def audit(url: str) -> Sequence[AuditRecord]:
    storage = open_storage(url)
    await storage.start()
    try:
        return await storage.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=10_000))
    finally:
        await storage.close()


async def ada_of(url: str) -> str:
    ((user_id,),) = await fetch_rows(url, "SELECT id FROM czo_auth_users WHERE email = 'ada@example.com'")
    return str(user_id)


async def erase(url: str, user_id: str) -> None:
    storage = open_storage(url)
    await storage.start()
    try:
        rows = Rows(storage)
        await rows.run(lambda tx: tx.audit_removal.begin_erasure(user_id, now=NOW))
        await rows.run(lambda tx: tx.audit_removal.erase_from_audit(user_id, after=0, limit=10_000))
    finally:
        await storage.close()


async def test_old_records_verify_and_are_closed_by_one_record(first_url: str) -> None:
    (before,) = await fetch_rows(first_url, "SELECT count(*), max(sequence) FROM czo_auth_audit")
    (last,) = await fetch_rows(first_url, "SELECT hash FROM czo_auth_audit ORDER BY sequence DESC LIMIT 1")
    await migrate.upgrade(first_url)
    records = await audit(first_url)
    assert verify_chain(records) is None
    closing = records[before[1]]
    assert closing.audit_event.action == AUDIT_VERSION_1_CLOSED
    assert (closing.audit_event.details["records"], closing.audit_event.details["lastHash"]) == (
        before[0],
        last[0],
    )
    assert {record.version for record in records[: before[0]]} == {1}
    assert closing.version == 2


async def test_old_records_lose_a_persons_parts_and_the_chain_verifies(upgraded_url: str) -> None:
    ada, before = await ada_of(upgraded_url), await audit(upgraded_url)
    assert any(record.context.ip for record in before if record.context.user_id == ada)
    assert any("name" in record.audit_event.details for record in before if record.audit_event.user_id == ada)
    await erase(upgraded_url, ada)
    after = await audit(upgraded_url)
    assert verify_chain(after) is None
    concerned = [record for record in after if ada in (record.context.user_id, record.audit_event.user_id)]
    assert concerned
    assert not any("name" in record.audit_event.details for record in concerned)
    assert not any(record.context.ip for record in concerned if record.context.user_id == ada)


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE czo_auth_audit SET outcome = 'denied' WHERE sequence = 2",
        "UPDATE czo_auth_audit SET user_id = 'x' WHERE sequence = 3",
        pytest.param("UPDATE czo_auth_audit SET method = 'otp' WHERE sequence = 2", marks=pytest.mark.deep),
    ],
)
async def test_old_record_that_was_marked_as_removed_and_changed_is_noticed(
    upgraded_url: str,
    forgery: str,
) -> None:
    await execute(upgraded_url, "UPDATE czo_auth_audit SET personal_removed = true", forgery)
    records = await audit(upgraded_url)
    closing = next(record for record in records if record.audit_event.action == AUDIT_VERSION_1_CLOSED)
    assert verify_chain(records) == closing.sequence


async def test_old_process_keeps_writing_while_it_is_replaced(migrated_url: str) -> None:
    storage = open_storage(migrated_url)
    await storage.start()
    try:
        rows = Rows(storage)
        await rows.run(lambda tx: tx.acting_as(system_context(NOW)).record(AuditEvent(action="auth.sign_in")))
        (first,) = await rows.run(lambda tx: tx.audit_log.audit_after(0, limit=10))
        old = Context(now=NOW, actor_kind="system", ip="192.0.2.1")
        own = chain_hash(
            first.hash,
            sequence=2,
            record_id="old",
            at=NOW,
            audit_event=AuditEvent(action="auth.sign_in"),
            context=old,
        )
        change_token = int(NOW.timestamp() * 1000)
        await execute(
            migrated_url,
            "INSERT INTO czo_auth_audit (sequence, id, at, action, outcome, details, actor_kind, ip, previous_hash, "
            f"hash) VALUES (2, 'old', {change_token}, 'auth.sign_in', 'success', '{{}}', 'system', '192.0.2.1', "
            f"'{first.hash}', '{own}')",
        )
        await rows.run(lambda tx: tx.acting_as(system_context(NOW)).record(AuditEvent(action="auth.sign_in")))
        records = await rows.run(lambda tx: tx.audit_log.audit_after(0, limit=10))
        assert [record.version for record in records] == [2, 1, 2]
        assert verify_chain(records, GENESIS) is None
    finally:
        await storage.close()


async def test_log_that_was_broken_before_stays_broken_there(first_url: str) -> None:
    await execute(first_url, "UPDATE czo_auth_audit SET outcome = 'denied' WHERE sequence = 4")
    await migrate.upgrade(first_url)
    records = await audit(first_url)
    assert verify_chain(records) == 4
    assert not any(record.audit_event.action == AUDIT_VERSION_1_CLOSED for record in records)
