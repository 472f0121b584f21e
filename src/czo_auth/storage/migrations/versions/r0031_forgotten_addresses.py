"""
Index the address that a change of address leads to, and remove it from the audit records of requests.

Revision: 0031, on top of 0030. A request for a change names an address that can be another user's, and a deletion
has to find it. Records of requests name the change instead; in older ones the address is a removable personal part, of
which the chain keeps a commitment. A process of the version before may go on meanwhile: it reads such records as those
that retention cut. What it records of requests until it is replaced keeps the address.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix = str(context.config.attributes["tables"].prefix)
    op.create_index(f"{prefix}email_changes_new_email_ix", f"{prefix}email_changes", ["new_email"])
    audit = sa.table(f"{prefix}audit", *(sa.column(name) for name in ("action", "personal", "personal_salt")))
    requested = (audit.c.action == "auth.user.email_change_requested", audit.c.personal_salt.is_not(None))
    op.execute(audit.update().where(*requested).values(personal=sa.null(), personal_salt=sa.null()))
