"""
Keep the number that SQLite's change triggers move; PostgreSQL notifies instead.

Revision: 0004, on top of 0003. The triggers themselves are made after every migration.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    name = str(context.config.attributes["tables"].change_count_table)
    changes = op.create_table(
        name,
        sa.Column("id", sa.Integer(), sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(changes, [{"id": 1, "count": 0}])
