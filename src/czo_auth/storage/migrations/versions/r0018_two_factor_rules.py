"""
Let organizations demand two factors from a day on, with what each member is owed: grace and exemptions.

Revision: 0018, on top of 0017. A process of the version before may go on meanwhile: no new column has to be filled in.
Existing members count from when they joined as far as that is known: from their present membership.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()
ID = sa.String(36)


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    organizations, members, terms = (
        f"{prefix}{name}" for name in ("organizations", "members", "two_factor_terms")
    )
    op.add_column(organizations, sa.Column("require_two_factor_from", TIME))
    op.add_column(
        organizations, sa.Column("two_factor_grace_days", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(members, sa.Column("two_factor_due_at", TIME))
    op.add_column(members, sa.Column("two_factor_reminded_days", sa.Integer()))
    op.create_index(f"{members}_two_factor_due_at_ix", members, ["two_factor_due_at"])
    op.create_table(
        terms,
        sa.Column(
            "organization_id",
            ID,
            sa.ForeignKey(f"{organizations}.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("user_id", ID, sa.ForeignKey(f"{prefix}users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("first_joined_at", TIME, nullable=False),
        sa.Column("exempt_since", TIME),
        sa.Column("exempt_until", TIME),
        sa.Column("exempt_reason", sa.Text()),
        sa.Column("exempt_by", ID),
        sa.PrimaryKeyConstraint("organization_id", "user_id"),
    )
    op.create_index(f"{terms}_user_id_ix", terms, ["user_id"])
