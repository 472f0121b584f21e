"""
Count the uses of API keys by day, remember the network of the last one, and let keys have a quota.

Revision: 0021, on top of 0020. A process of the version before may go on meanwhile: no new column has to be filled in.
It counts no uses and holds no quota.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger()
ID = sa.String(36)


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    keys, usage, quotas = (f"{prefix}{name}" for name in ("api_keys", "api_key_usage", "api_key_quotas"))
    op.add_column(keys, sa.Column("use_count", COUNT, nullable=False, server_default="0"))
    op.add_column(keys, sa.Column("last_used_ip", sa.Text()))
    op.add_column(keys, sa.Column("quota_max", sa.Integer()))
    op.add_column(keys, sa.Column("quota_period", sa.Text()))
    op.add_column(keys, sa.Column("quota_id", ID))
    op.create_table(
        usage,
        sa.Column("api_key_id", ID, sa.ForeignKey(f"{keys}.id", ondelete="CASCADE"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", COUNT, nullable=False),
        sa.Column("refused", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("api_key_id", "day"),
    )
    op.create_index(f"{usage}_day_ix", usage, ["day"])
    op.create_table(
        quotas,
        sa.Column("counter_id", ID, nullable=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("taken", COUNT, nullable=False),
        sa.Column("granted", COUNT, nullable=False),
        sa.Column("expires_at", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("counter_id", "period"),
    )
    op.create_index(f"{quotas}_expires_at_ix", quotas, ["expires_at"])
