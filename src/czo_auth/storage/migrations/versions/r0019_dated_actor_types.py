"""
Store when actor types were granted, for those that require a second factor from a date on, and who was notified.

Revision: 0019, on top of 0018. Processes of the previous version may keep running: no new column has to be filled in.
Actor types of existing users count from when their account was created; later grants are stored from now on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    users = str(context.config.attributes["tables"].prefix) + "users"
    op.add_column(users, sa.Column("actor_type_grants", sa.JSON()))
    op.add_column(users, sa.Column("two_factor_reminded_due_at", sa.BigInteger()))
    op.add_column(users, sa.Column("two_factor_reminded_days", sa.Integer()))
