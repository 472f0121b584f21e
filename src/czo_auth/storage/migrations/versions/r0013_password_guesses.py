"""
Count wrong passwords in the database, and let several mailed links of a user live side by side.

Revision: 0013, on top of 0012. While it is rolled out, a process of the version before cannot mail further links: they
rely on the constraint that goes here.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    guesses, links = f"{prefix}password_guesses", f"{prefix}mail_tokens"
    op.create_table(
        guesses,
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("forgotten_at", TIME, nullable=False),
        sa.Column("blocked_until", TIME, nullable=False),
    )
    op.create_index(f"{guesses}_forgotten_at_ix", guesses, ["forgotten_at"])
    with op.batch_alter_table(links) as table:
        table.drop_constraint(f"{links}_user_id_purpose_uq", type_="unique")
        table.add_column(sa.Column("opened_at", TIME))
        table.create_index(f"{links}_user_id_ix", ["user_id"])
