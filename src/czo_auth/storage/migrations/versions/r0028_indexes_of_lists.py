"""
Index what lists, filters, housekeeping and deletion look for, so that none of them reads a whole table that grows.

Revision: 0028, on top of 0027. A process of the version before may go on meanwhile: indexes change no row. PostgreSQL
lets writes to a table wait while it builds an index on it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_INDEXES: dict[str, list[tuple[str, ...]]] = {
    "users": [("actor_types",)],
    "factors": [("renew_by",)],
    "invitations": [("inviter_id",)],
    "events": [("type", "sequence"), ("at",)],
    "audit": [("outcome", "sequence"), ("at",)],
    "erasures": [("finished_at", "erased_at")],
    "parked_events": [("user_id", "sequence"), ("sequence", "sink"), ("id",)],
    "webhooks": [("enabled",)],
}


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            op.create_index(f"{prefix}{table}_{'_'.join(columns)}_ix", f"{prefix}{table}", list(columns))
    op.create_index(f"{prefix}factor_resets_user_ix", f"{prefix}factor_resets", ["user_id"])
    has_rule = sa.text("api_key_unused_days IS NOT NULL")
    op.create_index(
        f"{prefix}organizations_unused_rule_ix",
        f"{prefix}organizations",
        ["id"],
        sqlite_where=has_rule,
        postgresql_where=has_rule,
    )
