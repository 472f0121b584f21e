"""
Keep sealed answers to repeatable requests for ten minutes.

Revision: 0009, on top of 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    user = sa.ForeignKey(f"{prefix}users.id", ondelete="CASCADE")
    answers = f"{prefix}kept_answers"
    op.create_table(
        answers,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(36), user, nullable=False),
        sa.Column("lineage_id", sa.String(36), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("name_digest", sa.String(64), nullable=False),
        sa.Column("body_kid", sa.Text(), nullable=False),
        sa.Column("body_mac", sa.String(64), nullable=False),
        sa.Column("shows_enrollment", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.Text()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.UniqueConstraint("lineage_id", "route", "name_digest"),
    )
    op.create_index(f"{answers}_user_id_ix", answers, ["user_id"])
    op.create_index(f"{answers}_expires_at_ix", answers, ["expires_at"])
