"""
Mark accounts that kept their second factors when a password reset first proved the address.

Revision: 0020, on top of 0019. A process of the version before may go on meanwhile: the column may be left out.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    users = str(context.config.attributes["tables"].prefix) + "users"
    op.add_column(users, sa.Column("factors_kept_at", sa.BigInteger()))
