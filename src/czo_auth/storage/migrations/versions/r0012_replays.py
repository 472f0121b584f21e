"""
Let dead-lettered events be replayed, and pruned by their age.

Revision: 0012, on top of 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    name = context.config.attributes["tables"].parked_events.name
    op.add_column(name, sa.Column("replay_at", sa.BigInteger()))
    op.create_index(f"{name}_parked_at_ix", name, ["parked_at"])
