"""Tables of answers that are kept for a repeated request, of mails that wait, and of budgets."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from czo_auth.storage.column_types import Instant
from czo_auth.storage.tables.make import TableMaker, id_column


def kept_answers(make: TableMaker) -> Table:
    table = make.table(
        "kept_answers",
        id_column(),
        make.user_id(),
        Column("lineage_id", String(36), nullable=False),
        Column("route", Text, nullable=False),
        Column("name_digest", String(64), nullable=False),
        Column("body_kid", Text, nullable=False),
        Column("body_mac", String(64), nullable=False),
        Column("shows_enrollment", Boolean, nullable=False),
        Column("sealed", Text),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
        UniqueConstraint("lineage_id", "route", "name_digest"),
    )
    Index(None, table.c.user_id)
    return table


def mail_queue(make: TableMaker) -> Table:
    return make.table(
        "mail_queue",
        id_column(),
        Column("kind", Text, nullable=False),
        Column("sealed", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("next_at", Instant, nullable=False, index=True),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False),
    )


def budgets(make: TableMaker) -> Table:
    return make.table(
        "budgets",
        Column("name", Text, primary_key=True),
        Column("used", Integer, nullable=False),
        Column("expires_at", Instant, nullable=False, index=True),
    )
