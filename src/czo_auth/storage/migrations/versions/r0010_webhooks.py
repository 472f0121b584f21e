"""
Keep webhook endpoints, their secrets and deliveries.

Revision: 0010, on top of 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    _add_webhooks(prefix)
    _add_deliveries(prefix)
    op.create_table(
        f"{prefix}webhook_cursors",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
    )


def _add_webhooks(prefix: str) -> None:
    webhooks, secrets = f"{prefix}webhooks", f"{prefix}webhook_secrets"
    op.create_table(
        webhooks,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column(
            "organization_id",
            sa.String(36),
            sa.ForeignKey(f"{prefix}organizations.id", ondelete="CASCADE"),
        ),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("from_sequence", sa.BigInteger(), nullable=False),
        sa.Column("replay_after", sa.BigInteger()),
        sa.Column("replay_until", sa.BigInteger()),
        sa.Column("due_at", TIME),
        sa.Column("owner", sa.Text()),
        sa.Column("leased_until", TIME),
        sa.Column("failing_since", TIME),
        sa.Column("dead_since", TIME),
        sa.Column("created_by", sa.String(36)),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
    )
    for column in ("organization_id", "due_at", "replay_after", "dead_since"):
        op.create_index(f"{webhooks}_{column}_ix", webhooks, [column])
    op.create_table(
        secrets,
        sa.Column("id", sa.String(36), primary_key=True),
        _webhook_id(prefix),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME),
    )
    for column in ("webhook_id", "expires_at"):
        op.create_index(f"{secrets}_{column}_ix", secrets, [column])


def _add_deliveries(prefix: str) -> None:
    deliveries = f"{prefix}webhook_deliveries"
    op.create_table(
        deliveries,
        sa.Column("number", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False),
        _webhook_id(prefix),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(36)),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("response_status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("next_at", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("webhook_id", "event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{deliveries}_created_at_ix", deliveries, ["created_at"])
    op.create_index(f"{deliveries}_webhook_id_number_ix", deliveries, ["webhook_id", "number"])
    pending = sa.text("status = 'pending'")
    op.create_index(
        f"{deliveries}_pending_ix",
        deliveries,
        ["webhook_id", "user_id", "sequence"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _webhook_id(prefix: str) -> sa.Column[str]:
    return sa.Column(
        "webhook_id",
        sa.String(36),
        sa.ForeignKey(f"{prefix}webhooks.id", ondelete="CASCADE"),
        nullable=False,
    )
