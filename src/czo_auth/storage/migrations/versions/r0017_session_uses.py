"""
Remember when a session was last used, and how many wrong codes in a row came from it.

Revision: 0017, on top of 0016. A process of the version before may go on meanwhile: both columns may be left out.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sessions = str(context.config.attributes["tables"].prefix) + "sessions"
    op.add_column(sessions, sa.Column("last_used_at", sa.BigInteger()))
    op.add_column(sessions, sa.Column("wrong_codes", sa.Integer(), nullable=False, server_default="0"))
