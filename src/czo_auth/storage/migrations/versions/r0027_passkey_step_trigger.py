"""
Notice when passkeys begin to count as a second step: what remembers a session reads it now.

Revision: 0027, on top of 0026. No table changes; the triggers are made again after every migration. A process of the
version before may go on meanwhile: it forgets what it remembers once more often.
"""

from __future__ import annotations

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """See `czo_auth.storage.change_triggers`."""
