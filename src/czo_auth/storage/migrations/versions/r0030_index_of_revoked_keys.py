"""
Index when keys were revoked for those only that were, on PostgreSQL.

Revision: 0030, on top of 0029. Before PostgreSQL knows how many keys live, it may combine the index with another one to
find a user's: it then reads the entries of every key that was never revoked. SQLite combines no indexes. A process of
the version before may go on meanwhile: indexes change no row. Writes to the table wait while the index is built.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    keys = f"{context.config.attributes['tables'].prefix}api_keys"
    op.drop_index(f"{keys}_revoked_at_ix", keys)
    revoked = sa.text("revoked_at IS NOT NULL")
    op.create_index(f"{keys}_revoked_at_ix", keys, ["revoked_at"], postgresql_where=revoked)
