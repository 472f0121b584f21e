"""
Leave NULL out of indexes of columns that many rows do not set, on SQLite.

Revision: 0032, on top of 0031. After ANALYZE, SQLite takes NULL for a value that many rows have, so that an index of
such a column seems useless, or seems to find few rows by NULL: it then read every key to count the keys of one owner.
PostgreSQL's statistics leave NULL out. A process of the version before may go on meanwhile: indexes change no row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name != "sqlite":
        return
    prefix = str(context.config.attributes["tables"].prefix)
    keys, users = f"{prefix}api_keys", f"{prefix}users"
    _without_null(f"{keys}_expires_at_ix", keys, "expires_at")
    _without_null(f"{keys}_user_id_created_at_ix", keys, "user_id", "created_at")
    _without_null(f"{keys}_user_id_expires_at_ix", keys, "user_id", "expires_at")
    _without_null(f"{keys}_organization_id_created_at_ix", keys, "organization_id", "created_at")
    _without_null(f"{keys}_service_account_ix", keys, "service_account_id", "created_at")
    _without_null(f"{keys}_created_by_ix", keys, "created_by", also="service_account_id IS NOT NULL AND ")
    _without_null(f"{keys}_revoked_at_ix", keys, "revoked_at")
    _without_null(f"{users}_external_id_ix", users, "external_id", unique=True)


def _without_null(
    index: str, table: str, column: str, *more: str, unique: bool = False, also: str = ""
) -> None:
    op.drop_index(index, table)
    is_set = sa.text(f"{also}{column} IS NOT NULL")
    op.create_index(index, table, [column, *more], unique=unique, sqlite_where=is_set)
