"""
Serve pages of API keys from an index, and count what people do a day.

Revision: 0008, on top of 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    keys, budgets = f"{prefix}api_keys", f"{prefix}budgets"
    op.create_table(
        budgets,
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index(f"{budgets}_expires_at_ix", budgets, ["expires_at"])
    # Each begins with what an index had alone before, and serves what that one did.
    op.create_index(f"{keys}_user_id_created_at_ix", keys, ["user_id", "created_at"])
    op.create_index(f"{keys}_user_id_expires_at_ix", keys, ["user_id", "expires_at"])
    op.create_index(f"{keys}_organization_id_created_at_ix", keys, ["organization_id", "created_at"])
    op.drop_index(f"{keys}_user_id_ix", keys)
    op.drop_index(f"{keys}_organization_id_ix", keys)
