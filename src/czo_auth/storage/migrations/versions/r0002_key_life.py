"""
Give API keys an allow-list, a rate limit and a memory of notices, and organizations rules about their keys' lives.

Revision: 0002, on top of 0001. Every column may be null, and null means what held before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    keys, organizations = f"{prefix}api_keys", f"{prefix}organizations"
    for column in (
        sa.Column("allowed_ips", sa.Text()),
        sa.Column("rate_limit_max", sa.Integer()),
        sa.Column("rate_limit_window_seconds", sa.Integer()),
        sa.Column("noticed_days", sa.Integer()),
        sa.Column("unused_noticed_at", TIME),
    ):
        op.add_column(keys, column)
    # The housekeeping asks every few minutes which keys end soon.
    op.create_index(f"{keys}_expires_at_ix", keys, ["expires_at"])
    op.add_column(organizations, sa.Column("api_key_max_days", sa.Integer()))
    op.add_column(organizations, sa.Column("api_key_unused_days", sa.Integer()))
    if op.get_context().dialect.name == "postgresql":
        _tell_of_guards(prefix)


def _tell_of_guards(prefix: str) -> None:
    """Tell listeners as well when the allow-list or the rate limit of a key changes: lookups read both."""
    op.execute(f"DROP TRIGGER {prefix}tell ON {prefix}api_keys")
    op.execute(
        f"CREATE TRIGGER {prefix}tell AFTER DELETE OR UPDATE OF revoked_at, enabled, scopes, expires_at, "
        f"allowed_ips, rate_limit_max, rate_limit_window_seconds ON {prefix}api_keys "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {prefix}tell_change()"
    )
