"""
Keep passkeys, the marks of ceremonies that were answered, and since when a user's passkeys count as second step.

Revision: 0011, on top of 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()
ID = sa.String(36)


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    passkeys, marks = f"{prefix}passkeys", f"{prefix}passkey_ceremonies"
    op.create_table(
        passkeys,
        sa.Column("id", ID, primary_key=True),
        sa.Column("user_id", ID, sa.ForeignKey(f"{prefix}users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("aaguid", sa.Text(), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("transports", sa.Text(), nullable=False),
        sa.Column("rp_id", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME),
        sa.UniqueConstraint("credential_id"),
    )
    op.create_index(f"{passkeys}_user_id_ix", passkeys, ["user_id"])
    op.create_table(
        marks,
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
    )
    op.create_index(f"{marks}_network_ix", marks, ["network"])
    op.create_index(f"{marks}_expires_at_ix", marks, ["expires_at"])
    op.add_column(f"{prefix}users", sa.Column("passkeys_enabled_at", TIME))
