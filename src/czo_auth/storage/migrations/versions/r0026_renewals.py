"""
Store how many days ahead users were reminded to enroll their authenticator app again.

Revision: 0026, on top of 0025. Processes of the previous version may keep running: they remind nobody.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    op.add_column(f"{prefix}factors", sa.Column("renewal_reminded_days", sa.Integer()))
