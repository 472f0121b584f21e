"""
Every bound on what callers send and on what they can make grow, once.

Flows obey them; request models, forms and the command line import them, so that they can refuse earlier and never
otherwise. Units are in the names or beside them.
"""

from __future__ import annotations

from typing import Final

# --- lists -----------------------------------------------------------------------------------------------------------
DEFAULT_PAGE: Final = 100
"""Rows that a list answers when nobody says how many, and the most in an array that cannot be paged."""

MAX_PAGE: Final = 500
MAX_CURSOR: Final = 128
MAX_OFFSET: Final = 10**6

# --- what one user or organization keeps -----------------------------------------------------------------------------
MAX_API_KEYS_A_DAY: Final = 500
"""Keys that a user makes or rotates in a day, by default; those that ended since count."""

MAX_MEMBERS: Final = 1000
MAX_PENDING_INVITATIONS: Final = 1000
MAX_TRUSTED_DEVICES: Final = 100
"""Beyond it the device that was used longest ago is forgotten."""

MAX_WEBHOOKS: Final = 20
"""Endpoints of an organization, and of the administrators."""
MAX_WEBHOOK_PATTERNS: Final = 50
MAX_WEBHOOK_URL: Final = 2048
MAX_WEBHOOK_DESCRIPTION: Final = 500
MAX_WEBHOOK_SECRETS: Final = 10
"""Secrets of one endpoint that sign at the same time."""
MAX_WEBHOOK_TESTS: Final = 100
"""Deliveries of tests to one endpoint that are kept; beyond it the oldest is forgotten."""

MAX_REVOKED_AT_ONCE: Final = 1000
