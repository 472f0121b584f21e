"""
Remember in which language mails are written to a user, and when they said that something was not them.

Revision: 0023, on top of 0022. A process of the version before may go on meanwhile: no new column has to be filled in.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    users = str(context.config.attributes["tables"].prefix) + "users"
    op.add_column(users, sa.Column("language", sa.Text()))
    op.add_column(users, sa.Column("secured_at", sa.BigInteger()))
