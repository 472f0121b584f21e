"""Tables of the outbox, the audit log, sinks and webhooks."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from czo_auth.storage.column_types import Instant, WordList
from czo_auth.storage.tables.make import JSON_VALUE, SEQUENCE, TableMaker, id_column


def events(make: TableMaker) -> Table:
    # AUTOINCREMENT: a number is never given twice, even after the newest events were pruned.
    table = make.table(
        "events",
        Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
        Column("id", String(36), nullable=False),
        Column("type", Text, nullable=False),
        Column("user_id", String(36)),
        Column("at", Instant, nullable=False),
        Column("data", JSON_VALUE, nullable=False),
        UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    Index(None, table.c.user_id, table.c.sequence)
    Index(None, table.c.type, table.c.sequence)
    Index(None, table.c.at)
    return table


def audit(make: TableMaker) -> Table:
    table = make.table(
        "audit",
        Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
        Column("id", String(36), nullable=False),
        Column("at", Instant, nullable=False),
        Column("action", Text, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("user_id", String(36)),
        Column("organization_id", String(36)),
        Column("details", JSON_VALUE, nullable=False),
        Column("actor_kind", Text, nullable=False),
        Column("actor_user_id", String(36)),
        Column("actor_organization_id", String(36)),
        Column("method", Text),
        Column("ip", Text),
        Column("user_agent", Text),
        Column("request_id", Text),
        Column("previous_hash", String(64), nullable=False),
        Column("hash", String(64), nullable=False),
        # Null means version 1, also of what an older process writes while it is replaced.
        Column("version", Integer),
        Column("origin_commitment", String(64)),
        Column("origin_salt", String(32)),
        Column("personal", JSON_VALUE),
        Column("personal_commitment", String(64)),
        Column("personal_salt", String(32)),
        Column("personal_removed", Boolean),
        UniqueConstraint("id"),
    )
    Index(None, table.c.user_id, table.c.sequence)
    Index(None, table.c.actor_user_id, table.c.sequence)
    Index(None, table.c.action, table.c.sequence)
    Index(None, table.c.outcome, table.c.sequence)
    Index(None, table.c.at)
    return table


def erasures(make: TableMaker) -> Table:
    # Users deleted recently: what their running requests still record is recorded without personal parts.
    table = make.table(
        "erasures",
        Column("user_id", String(36), primary_key=True),
        Column("erased_at", Instant, nullable=False, index=True),
        Column("finished_at", Instant),
    )
    Index(None, table.c.finished_at, table.c.erased_at)
    return table


def sinks(make: TableMaker) -> Table:
    return make.table(
        "sinks",
        Column("name", Text, primary_key=True),
        Column("sequence", BigInteger, nullable=False),
        Column("owner", Text),
        Column("leased_until", Instant),
    )


def parked_events(make: TableMaker) -> Table:
    table = make.table(
        "parked_events",
        Column("sink", Text, primary_key=True),
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        Column("id", String(36), nullable=False),
        Column("type", Text, nullable=False),
        Column("user_id", String(36)),
        Column("at", Instant, nullable=False),
        Column("data", JSON_VALUE, nullable=False),
        Column("error", Text, nullable=False),
        Column("parked_at", Instant, nullable=False, index=True),
        Column("replay_at", Instant),
    )
    Index(None, table.c.user_id, table.c.sequence)
    Index(None, table.c.sequence, table.c.sink)
    Index(None, table.c.id)
    return table


def webhooks(make: TableMaker) -> Table:
    return make.table(
        "webhooks",
        id_column(),
        # Without one it belongs to the administrators.
        Column(
            "organization_id",
            String(36),
            ForeignKey(f"{make.prefix}organizations.id", ondelete="CASCADE"),
            index=True,
        ),
        Column("url", Text, nullable=False),
        Column("events", WordList, nullable=False),
        Column("description", Text),
        Column("enabled", Boolean, nullable=False, index=True),
        Column("disabled_reason", Text),
        # Events up to here were recorded before it was made or switched on.
        Column("from_sequence", BigInteger, nullable=False),
        Column("replay_after", BigInteger, index=True),
        Column("replay_until", BigInteger),
        Column("due_at", Instant, index=True),
        Column("owner", Text),
        Column("leased_until", Instant),
        Column("failing_since", Instant),
        Column("dead_since", Instant, index=True),
        # No foreign key: an endpoint of the administrators outlives the one who made it.
        Column("created_by", String(36)),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
    )


def webhook_secrets(make: TableMaker) -> Table:
    return make.table(
        "webhook_secrets",
        id_column(),
        make.reference("webhook_id", "webhooks", index=True),
        Column("sealed_secret", Text, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, index=True),
    )


def webhook_deliveries(make: TableMaker) -> Table:
    # A copy of no event: the outbox keeps it as long as a delivery can be sent.
    table = make.table(
        "webhook_deliveries",
        Column("number", SEQUENCE, primary_key=True, autoincrement=True),
        Column("id", String(36), nullable=False),
        make.reference("webhook_id", "webhooks"),
        Column("event_id", String(36), nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("type", Text, nullable=False),
        Column("user_id", String(36)),
        Column("status", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("response_status", Integer),
        Column("error", Text),
        Column("next_at", Instant),
        Column("created_at", Instant, nullable=False, index=True),
        Column("finished_at", Instant),
        UniqueConstraint("id"),
        UniqueConstraint("webhook_id", "event_id"),
        sqlite_autoincrement=True,
    )
    deliveries = table.c
    Index(None, deliveries.webhook_id, deliveries.number)
    pending = deliveries.status == "pending"
    Index(
        f"{make.prefix}webhook_deliveries_pending_ix",
        *(deliveries.webhook_id, deliveries.user_id, deliveries.sequence),
        sqlite_where=pending,
        postgresql_where=pending,
    )
    return table


def webhook_cursors(make: TableMaker) -> Table:
    return make.table(
        "webhook_cursors",
        Column("name", Text, primary_key=True),
        Column("sequence", BigInteger, nullable=False),
    )
