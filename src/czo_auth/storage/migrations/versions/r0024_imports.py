"""
Remember what was imported, until when a weak imported TOTP secret has to be replaced, and foreign user handles.

Revision: 0024, on top of 0023. A process of the version before may go on meanwhile: the columns may be left out.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    op.add_column(f"{prefix}factors", sa.Column("renew_by", sa.BigInteger()))
    op.add_column(f"{prefix}passkeys", sa.Column("user_handle", sa.Text()))
    op.create_table(
        f"{prefix}import_marks",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("target_id", sa.String(36), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
    )
