"""
Let personal parts of audit records be removed: version 2 of the chain, and one record that closes version 1.

Revision: 0005, on top of 0004. A process of before goes on writing records of version 1, which stay valid.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from czo_auth.core.context import Context, system_context
from czo_auth.core.events.chain import ChainState, closing_event, follow_chain
from czo_auth.core.events.types import AuditEvent, AuditRecord
from czo_auth.core.ids import new_id
from czo_auth.storage.audit_rows import Entry, chained_row
from czo_auth.storage.column_types import Instant
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.tables import Tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()
BATCH = 1000
TEXTS = (
    *("id", "action", "outcome", "user_id", "organization_id", "actor_kind", "actor_user_id"),
    *("actor_organization_id", "method", "ip", "user_agent", "request_id", "previous_hash", "hash"),
)


def upgrade() -> None:
    tables: Tables = context.config.attributes["tables"]
    audit, events, erasures = (f"{tables.prefix}{name}" for name in ("audit", "events", "erasures"))
    # A process of before may be writing: the last record must stay the last until this is over.
    acquire_lock(op.get_bind(), audit)
    for column in (
        sa.Column("version", sa.Integer()),
        sa.Column("origin_commitment", sa.String(64)),
        sa.Column("origin_salt", sa.String(32)),
        sa.Column("personal", sa.JSON()),
        sa.Column("personal_commitment", sa.String(64)),
        sa.Column("personal_salt", sa.String(32)),
        sa.Column("personal_removed", sa.Boolean()),
    ):
        op.add_column(audit, column)
    op.create_index(f"{audit}_actor_user_id_sequence_ix", audit, ["actor_user_id", "sequence"])
    op.create_index(f"{events}_user_id_sequence_ix", events, ["user_id", "sequence"])
    op.create_table(
        erasures,
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("erased_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
    )
    op.create_index(f"{erasures}_erased_at_ix", erasures, ["erased_at"])
    _close_version_1(op.get_bind(), audit)


def _close_version_1(connection: sa.Connection, name: str) -> None:
    """Record how many records of version 1 there are, their last hash, and what verifies them from now on."""
    audit = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("sequence", sa.BigInteger(), primary_key=True),
        sa.Column("at", Instant),
        sa.Column("details", sa.JSON()),
        sa.Column("version", sa.Integer()),
        *(sa.Column(text, sa.Text()) for text in TEXTS),
        *(
            sa.Column(f"{part}_{kept}", sa.Text())
            for part in ("origin", "personal")
            for kept in ("commitment", "salt")
        ),
    )
    state, records = ChainState(), 0
    for found in _batches(connection, audit):
        state, broken_at = follow_chain(found, state)
        if broken_at is not None:
            # A log that is broken already stays so, and is found broken at the same place.
            return
        records += len(found)
    if records == 0:
        return
    now = datetime.now(UTC)  # noqa: TID251 - nobody hands a migration the time
    entry = Entry(
        id=new_id(now), at=now, audit_event=closing_event(records, state), context=system_context(now)
    )
    row = chained_row(entry, previous=state.hash, sequence=records + 1)
    connection.execute(sa.insert(audit), [{key: value for key, value in row.items() if key != "personal"}])


def _batches(connection: sa.Connection, audit: sa.Table) -> Iterator[list[AuditRecord]]:
    last = 0
    statement = sa.select(audit).order_by(audit.c.sequence).limit(BATCH)
    while rows := connection.execute(statement.where(audit.c.sequence > last)).all():
        yield [_version_1(row) for row in rows]
        last = rows[-1].sequence


def _version_1(row: sa.Row[Any]) -> AuditRecord:
    return AuditRecord(
        sequence=row.sequence,
        id=row.id,
        at=row.at,
        audit_event=AuditEvent(
            action=row.action,
            user_id=row.user_id,
            organization_id=row.organization_id,
            outcome=row.outcome,
            details=row.details,
        ),
        context=Context(
            now=row.at,
            actor_kind=row.actor_kind,
            user_id=row.actor_user_id,
            organization_id=row.actor_organization_id,
            method=row.method,
            ip=row.ip,
            user_agent=row.user_agent,
            request_id=row.request_id,
        ),
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
