"""What is counted and asked of a database, on both kinds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.context import system_context
from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.administration.overview import read_overview
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import RenewalCounts
from czo_auth.crypto import passwords
from czo_auth.storage import Storage, open_storage
from czo_auth.storage.facts import sqlite_facts
from czo_auth.storage.postgresql import PostgresStorage
from czo_auth.storage.sqlite import SqliteStorage
from tests.storage.conftest import rows, storage  # noqa: F401 - fixtures
from tests.support.records import HOUR, NOW
from tests.support.rows import Rows


def _now() -> datetime:
    return datetime.now(UTC)


async def test_everything_is_counted(storage: Storage, rows: Rows) -> None:  # noqa: F811
    admin = frozenset({"customer", "admin"})
    protected = await rows.user(actor_types=admin, password_hash=passwords.hash_password("x" * 12))
    await rows.factor(protected, sealed_secret="v1.k2.nonce.text")
    await rows.factor(await rows.user(banned_at=NOW), sealed_secret="v1.k1.nonce.text")
    imported = await rows.user(password_hash="$2b$12$imported")
    locked, stopped, free = await rows.user(), await rows.user(), await rows.user()

    def step(tx: Transaction) -> None:
        for user, until, is_stopped in (
            (locked, NOW + HOUR, False),
            (free, NOW - HOUR, False),
            (stopped, None, True),
        ):
            tx.challenges.reserve_attempt(user.id, now=NOW - 2 * HOUR)
            tx.challenges.lock_until(user.id, until=until, stopped=is_stopped)
        for at in (NOW - HOUR, NOW):
            tx.acting_as(system_context(at)).record(
                AuditEvent(action=types.USER_UPDATED, user_id=imported.id)
            )

    await rows.run(step)
    await rows.run(lambda tx: tx.outbox.claim_sink("file", owner="me", until=NOW + HOUR, now=NOW))
    await rows.run(lambda tx: tx.outbox.advance_sink("file", owner="me", sequence=1))

    await rows.passkey(protected, rp_id="shop.example")

    seen = await read_overview(storage.transactions, ActorRegistry(), now=NOW)
    assert seen.passkeys == {"shop.example": 1}
    assert (seen.users.users, seen.users.banned, seen.users.with_factor) == (6, 1, 1)
    assert [(each.actor_type, each.users, each.with_factor) for each in seen.coverage] == [
        ("customer", 5, 1),
        ("merchant", 0, 0),
        ("admin", 1, 1),
    ]
    assert (seen.locked, seen.stopped, seen.foreign_hashes) == (1, 1, 1)
    assert seen.sealed == {"k1": 1, "k2": 1}
    assert (seen.audit.records, seen.audit.broken_at, seen.audit.last_at) == (2, None, NOW)
    (sink,) = seen.outbox.sinks
    assert (sink.name, sink.behind, sink.oldest_waiting_at, sink.dead_lettered) == ("file", 1, NOW, 0)
    assert sink.leased_until == NOW + HOUR


async def test_short_secrets_are_counted_until_their_owners_enroll_again(
    storage: Storage,  # noqa: F811
    rows: Rows,  # noqa: F811
) -> None:
    async def counted() -> RenewalCounts:
        return (await read_overview(storage.transactions, ActorRegistry(), now=NOW)).renewals

    await rows.factor(await rows.user())
    assert await counted() == RenewalCounts(overdue=0, waiting=0, next_at=None)
    waiting = await rows.user()
    await rows.factor(await rows.user(), renew_by=NOW)
    await rows.factor(waiting, renew_by=NOW + HOUR)
    await rows.factor(await rows.user(), renew_by=NOW + 2 * HOUR)
    await rows.factor(await rows.user(banned_at=NOW), renew_by=NOW + HOUR)
    assert await counted() == RenewalCounts(overdue=1, waiting=2, next_at=NOW + HOUR)
    await rows.factor(waiting)
    assert await counted() == RenewalCounts(overdue=1, waiting=1, next_at=NOW + 2 * HOUR)


async def test_changed_record_is_seen_in_the_tail(
    storage: SqliteStorage | PostgresStorage,  # noqa: F811
    rows: Rows,  # noqa: F811
) -> None:
    def step(tx: Transaction) -> None:
        for _ in range(3):
            tx.acting_as(system_context(NOW)).record(AuditEvent(action=types.USER_BANNED))

    await rows.run(step)
    audit = storage.tables.audit
    change = update(audit).where(audit.c.sequence == 2).values(ip="192.0.2.9")
    await rows.run(lambda tx: tx.connection.execute(change))  # type: ignore[attr-defined]
    seen = await read_overview(storage.transactions, ActorRegistry(), now=NOW)
    assert seen.audit.broken_at == 2


async def test_empty_database_is_surveyed(storage: Storage) -> None:  # noqa: F811
    seen = await read_overview(storage.transactions, ActorRegistry(), now=NOW)
    assert (seen.users.users, seen.audit.records, seen.audit.broken_at) == (0, 0, None)
    assert seen.signing_key_made_at is None
    assert seen.outbox.sinks == []


async def test_database_says_what_it_is(migrated_url: str) -> None:
    opened = open_storage(migrated_url)
    await opened.start()
    facts = await opened.facts(now=_now)
    await opened.close()
    assert facts.version > (3,)
    assert facts.round_trip < timedelta(seconds=5)
    assert facts.writable
    assert not facts.encrypted
    if facts.product == "SQLite":
        assert facts.clock_ahead is None
        assert facts.durability == {"journal_mode": "wal", "synchronous": "FULL"}
    else:
        assert facts.clock_ahead is not None
        assert abs(facts.clock_ahead) < timedelta(seconds=5)
        assert facts.durability.keys() == {"fsync", "full_page_writes", "synchronous_commit"}


def test_asking_changes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "plain.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    before = path.read_bytes()
    facts = sqlite_facts(str(path))
    assert facts.durability == {"journal_mode": "delete"}
    assert path.read_bytes() == before
    with pytest.raises(StorageUnavailable):
        sqlite_facts(str(tmp_path / "missing"))
    assert [each.name for each in tmp_path.iterdir()] == ["plain.sqlite3"]
