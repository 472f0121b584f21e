"""The context of a transaction, and identifiers that have not the form of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from czo_auth.core.context import Context, system_context
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.transaction import Transaction
from tests.support.records import NOW, an_id
from tests.support.rows import Rows

LATER = NOW + timedelta(hours=1)
FINDS: list[Callable[[Transaction, str], object]] = [
    lambda tx, text: tx.users.find(text),
    lambda tx, text: tx.users.lock(text),
    lambda tx, text: tx.users.lock_active(text),
    lambda tx, text: tx.sessions.find(text),
    lambda tx, text: tx.api_keys.find(text),
    lambda tx, text: tx.organizations.find(text),
    lambda tx, text: tx.organizations.lock(text),
    lambda tx, text: tx.organizations.find_member(text, an_id()),
    lambda tx, text: tx.organizations.find_member(an_id(), text),
    lambda tx, text: tx.organizations.find_member_by_id(text),
    lambda tx, text: tx.organizations.find_invitation(text),
    lambda tx, text: tx.challenges.drop_trusted_device(an_id(), text),
]


@pytest.mark.parametrize("text", ["", "x", "a\0b", "\ud800", "é" * 36, "0" * 1_000_000])
async def test_text_that_is_no_id_finds_nothing_and_breaks_no_transaction(rows: Rows, text: str) -> None:
    user = await rows.user()

    def step(tx: Transaction) -> list[object]:
        found = [find(tx, text) for find in FINDS]
        assert tx.users.find(user.id) is not None
        return found

    assert not any(await rows.run(step))


async def test_user_who_is_banned_or_missing_is_not_locked_as_active(rows: Rows) -> None:
    active, banned = await rows.user(), await rows.user(banned_at=NOW)
    assert await rows.run(lambda tx: tx.users.lock_active(active.id)) == active
    assert await rows.run(lambda tx: tx.users.lock_active(banned.id)) is None
    assert await rows.run(lambda tx: tx.users.lock_active(an_id())) is None


async def test_step_acts_and_records_in_its_context(rows: Rows) -> None:
    user_id = an_id()
    context = Context(now=NOW, ip="192.0.2.1").by(user_id, "pwd")

    def step(tx: Transaction) -> None:
        assert (tx.context, tx.now) == (context, NOW)
        tx.record(AuditEvent(action="auth.test.first", user_id=user_id))
        tx.acting_as(system_context(LATER)).record(AuditEvent(action="auth.test.second", user_id=user_id))
        tx.record(AuditEvent(action="auth.test.third", user_id=user_id))

    await rows.run(step, context)
    found = await rows.run(lambda tx: tx.audit_log.audit_after(0, limit=10))
    assert [(record.audit_event.action, record.at, record.context.actor_kind) for record in found] == [
        ("auth.test.first", NOW, "user"),
        ("auth.test.second", LATER, "system"),
        ("auth.test.third", NOW, "user"),
    ]
    assert found[0].context.ip == "192.0.2.1"


async def test_step_that_only_reads_has_its_context_too(rows: Rows) -> None:
    context = system_context(NOW)
    assert await rows.storage.transactions.read(lambda tx: tx.context, context) is context


async def test_step_without_a_context_cannot_record_and_leaves_nothing(rows: Rows) -> None:
    user = await rows.user()

    def step(tx: Transaction) -> None:
        tx.users.set_ban(user.id, banned_at=NOW, reason="test", now=NOW)
        tx.record(AuditEvent(action="auth.test.first"))

    with pytest.raises(RuntimeError, match="context"):
        await rows.run(step)
    assert await rows.run(lambda tx: tx.users.find(user.id)) == user
