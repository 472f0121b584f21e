"""
Keep the id that an imported user has in the other system.

Revision: 0015, on top of 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    name = context.config.attributes["tables"].users.name
    op.add_column(name, sa.Column("external_id", sa.Text()))
    op.create_index(f"{name}_external_id_ix", name, ["external_id"], unique=True)
