"""
Let organizations have service accounts, and API keys that belong to one instead of a user.

Revision: 0022, on top of 0021. A process of the version before may go on meanwhile: it refuses the keys of service
accounts, because it looks for their user.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()
ID = sa.String(36)


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    accounts, keys = f"{prefix}service_accounts", f"{prefix}api_keys"
    op.create_table(
        accounts,
        sa.Column("id", ID, primary_key=True),
        sa.Column(
            "organization_id",
            ID,
            sa.ForeignKey(f"{prefix}organizations.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", ID),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
    )
    op.create_index(f"{accounts}_newest_ix", accounts, ["organization_id", "created_at"])
    with op.batch_alter_table(keys) as table:
        table.alter_column("user_id", existing_type=ID, nullable=True)
        table.alter_column("actor_type", existing_type=sa.Text(), nullable=True)
        table.add_column(sa.Column("service_account_id", ID))
        table.add_column(sa.Column("created_by", ID))
        table.create_foreign_key(
            f"{keys}_service_account_id_fk", accounts, ["service_account_id"], ["id"], ondelete="CASCADE"
        )
        table.create_index(f"{keys}_service_account_ix", ["service_account_id", "created_at"])
    made = sa.text("service_account_id IS NOT NULL")
    op.create_index(f"{keys}_created_by_ix", keys, ["created_by"], sqlite_where=made, postgresql_where=made)
    op.execute(f"UPDATE {keys} SET created_by = user_id")  # noqa: S608 - the prefix was checked
