"""
Keep resets of second factors that wait until they are due.

Revision: 0003, on top of 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    user = sa.ForeignKey(f"{prefix}users.id", ondelete="CASCADE")
    resets = f"{prefix}factor_resets"
    op.create_table(
        resets,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), user, nullable=False),
        sa.Column("asked_by", sa.String(36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
        sa.Column("outcome", sa.Text()),
        sa.UniqueConstraint("digest"),
    )
    op.create_index(f"{resets}_due_at_ix", resets, ["due_at"])
    op.create_index(f"{resets}_closed_at_ix", resets, ["closed_at"])
    waits = sa.text("closed_at IS NULL")
    op.create_index(
        f"{resets}_user_id_ix", resets, ["user_id"], unique=True, sqlite_where=waits, postgresql_where=waits
    )
