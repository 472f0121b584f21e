"""
Keep the requests of devices that wait for somebody's approval.

Revision: 0016, on top of 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    user = sa.ForeignKey(f"{prefix}users.id", ondelete="CASCADE")
    devices = f"{prefix}device_authorizations"
    op.create_table(
        devices,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("device_digest", sa.String(64), nullable=False),
        sa.Column("user_digest", sa.String(64), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.String(36)),
        sa.Column("key_lifetime_seconds", sa.BigInteger(), nullable=False),
        sa.Column("ip", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("lineage_id", sa.String(36)),
        sa.Column("user_id", sa.String(36), user),
        sa.Column("api_key_id", sa.String(36)),
        sa.Column("sealed_key", sa.Text()),
        sa.Column("poll_seconds", sa.Integer(), nullable=False),
        sa.Column("polled_at", TIME),
        sa.Column("fetched_at", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.UniqueConstraint("device_digest"),
        sa.UniqueConstraint("user_digest"),
    )
    op.create_index(f"{devices}_expires_at_ix", devices, ["expires_at"])
    op.create_index(f"{devices}_user_id_ix", devices, ["user_id"])
