"""
Index parts of addresses and names, so that an administrator's search does not read every user.

Revision: 0029, on top of 0028. The index is made after every migration where it is missing. A process of the version
before may go on meanwhile: triggers, or PostgreSQL itself, index what it writes. The index is made in the migration's
transaction, and users cannot be written until it is done.
"""

from __future__ import annotations

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """See `czo_auth.storage.user_search_index`."""
