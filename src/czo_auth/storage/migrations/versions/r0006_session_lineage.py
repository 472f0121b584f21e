"""
Give sessions a lineage that survives renewal, and bind to it what belongs to one session.

Revision: 0006, on top of 0005. A process of the version before may go on meanwhile: every column may be null. A pending
enrollment goes to its user's session where there is one only; among several nobody can tell which proved the password.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    for table, column in (("sessions", "lineage_id"), ("enrolments", "lineage_id"), ("challenges", "renews")):
        op.add_column(f"{prefix}{table}", sa.Column(column, sa.String(36)))
    op.execute(f"UPDATE {prefix}sessions SET lineage_id = id")  # noqa: S608 - the prefix was checked
    op.execute(
        f"UPDATE {prefix}enrolments SET lineage_id = (SELECT CASE WHEN count(*) = 1 THEN min(s.id) END "  # noqa: S608
        f"FROM {prefix}sessions AS s WHERE s.user_id = {prefix}enrolments.user_id AND s.revoked_at IS NULL "
        f"AND s.expires_at > {prefix}enrolments.created_at)"
    )
