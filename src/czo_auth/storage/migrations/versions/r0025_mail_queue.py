"""
Keep mails that no server has taken yet, sealed, for two days.

Revision: 0025, on top of 0024. A process of the version before may go on meanwhile: it does not know the table.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()


def upgrade() -> None:
    mails = str(context.config.attributes["tables"].prefix) + "mail_queue"
    op.create_table(
        mails,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
    )
    op.create_index(f"{mails}_next_at_ix", mails, ["next_at"])
