"""
Bytes that each kind of record takes in a database, including indexes: many are written, and the growth is divided by
their number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from czo_auth.core.context import Context
from czo_auth.core.events.types import API_KEY_CREATED, SIGN_IN, AuditEvent
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.core.webhooks.webhook import WebhookSecret
from czo_auth.storage import Storage, open_storage
from czo_auth.storage.migrate import upgrade
from czo_auth.storage.sqlite_file import database_path
from tests.support.postgres import PostgresServer
from tests.support.records import NOW, a_digest, a_key, a_session, a_user, a_webhook, an_id

HASH: Final = "$argon2id$v=19$m=19456,t=2,p=1$" + "c" * 22 + "$" + "h" * 43
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
BATCH: Final = 250

Step = Callable[[Transaction, User], None]


@dataclass(frozen=True)
class Size:
    """
    Attributes:
        kind: What was written.
        sqlite, postgresql: Bytes for one.
    """

    kind: str
    sqlite: float
    postgresql: float


def _user(tx: Transaction, user: User) -> None:
    tx.users.add(replace(a_user(), password_hash=HASH, name="Ada Lovelace", email_verified=True))


def _key(tx: Transaction, user: User) -> None:
    tx.api_keys.add(a_key(user.id), digest=a_digest())


def _session(tx: Transaction, user: User) -> None:
    session = a_session(user.id, user_agent=AGENT)
    tx.sessions.add(session, token_digest=a_digest())
    tx.sessions.add_refresh_token(an_id(), session=session, digest=a_digest(), parent_id=None, now=NOW)


def _record(action: str) -> Step:
    def record(tx: Transaction, user: User) -> None:
        details = {"apiKeyId": an_id(), "prefix": "czo_abcd", "actorType": "customer"}
        tx.record(AuditEvent(action=action, user_id=user.id, details=details))

    return record


KINDS: Final[dict[str, Step]] = {
    "user with a password": _user,
    "API key": _key,
    "session with its refresh token": _session,
    "audit record": _record(SIGN_IN),
    "event, with its audit record": _record(API_KEY_CREATED),
}

DELIVERY: Final = "delivery of an event to a webhook endpoint"


async def measure(directory: Path, postgres: PostgresServer, *, each: int) -> Iterator[Size]:
    """Write *each* things of every kind into both databases."""
    file = directory / "sizes.db"
    url = postgres.url(postgres.create_database())
    on_sqlite = await _growth(f"sqlite:///{file}", each, lambda: _file_bytes(file))
    on_postgres = await _growth(url, each, lambda: _database_bytes(postgres, url))
    return iter([Size(kind, on_sqlite[kind] / each, on_postgres[kind] / each) for kind in (*KINDS, DELIVERY)])


async def _growth(url: str, each: int, size: Callable[[], int]) -> dict[str, int]:
    await upgrade(url)
    storage = open_storage(url)
    await storage.start()
    grown = {}
    try:
        user = replace(a_user(), password_hash=HASH)
        await storage.transactions.run(lambda tx: tx.users.add(user))
        context = Context(now=NOW, actor_kind="user", method="pwd", ip="192.0.2.17", user_agent=AGENT)
        for kind, step in KINDS.items():
            before = size()
            for _ in range(each // BATCH):
                await _write(storage, step, user, context)
            grown[kind] = size() - before
        before = size()
        await _deliver(storage)
        grown[DELIVERY] = size() - before
    finally:
        await storage.close()
    return grown


async def _write(storage: Storage, step: Step, user: User, context: Context) -> None:
    def write_batch(tx: Transaction) -> None:
        for _ in range(BATCH):
            step(tx, user)

    await storage.transactions.run(write_batch, context)


async def _deliver(storage: Storage) -> None:
    """Make one delivery of each event that was written before."""
    webhook = a_webhook(url="https://hooks.example.com/czo-auth")
    secret = WebhookSecret(
        id=an_id(), webhook_id=webhook.id, sealed_secret="sealed", created_at=NOW, expires_at=None
    )

    def add(tx: Transaction) -> None:
        tx.webhooks.add(webhook, secret)
        tx.webhooks.replay_since(webhook.id, NOW)

    await storage.transactions.run(add)
    while await storage.transactions.run(
        lambda tx: tx.webhook_deliveries.spread_replay(limit=BATCH, now=NOW)
    ):
        pass


def _file_bytes(path: Path) -> int:
    with closing(sqlite3.connect(database_path(f"sqlite:///{path}"))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def _database_bytes(postgres: PostgresServer, url: str) -> int:
    question = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'czo_auth_%'"
    return int(postgres.execute(question, database=url.rpartition("/")[2]))
