"""
Keep changes of address, who made an account or an organization, and the host's own fields of users.

Revision: 0014, on top of 0013. Every new column may be null; who made what is read from the audit log where it says so.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TIME = sa.BigInteger()


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    users, organizations, audit = f"{prefix}users", f"{prefix}organizations", f"{prefix}audit"
    op.add_column(users, sa.Column("made_by", sa.Text()))
    op.add_column(users, sa.Column("fields", sa.JSON()))
    op.add_column(f"{prefix}mail_tokens", sa.Column("used_at", TIME))
    op.add_column(organizations, sa.Column("created_by", sa.String(36)))
    op.execute(
        f"UPDATE {users} SET made_by = 'operator' WHERE id IN (SELECT user_id FROM {audit} "  # noqa: S608
        "WHERE action = 'auth.user.registered' AND actor_kind = 'operator')"
    )
    op.execute(
        f"UPDATE {organizations} SET created_by = made.user_id FROM {audit} AS made "  # noqa: S608
        f"WHERE made.action = 'auth.org.created' AND made.organization_id = {organizations}.id"
    )
    changes = f"{prefix}email_changes"
    op.create_table(
        changes,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("revert_digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), sa.ForeignKey(f"{users}.id", ondelete="CASCADE"), nullable=False),
        sa.Column("lineage_id", sa.String(36)),
        sa.Column("old_email", sa.Text(), nullable=False),
        sa.Column("old_mailbox", sa.Text(), nullable=False),
        sa.Column("new_email", sa.Text(), nullable=False),
        sa.Column("new_mailbox", sa.Text(), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("revert_until", TIME, nullable=False),
        sa.Column("confirmed_at", TIME),
        sa.Column("replaced_at", TIME),
        sa.Column("closed_at", TIME),
        sa.UniqueConstraint("digest"),
        sa.UniqueConstraint("revert_digest"),
    )
    for column in ("user_id", "old_email", "revert_until"):
        op.create_index(f"{changes}_{column}_ix", changes, [column])
