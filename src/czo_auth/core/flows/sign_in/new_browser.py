"""Whether a sign-in comes from a new browser."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.known_browser import find_browser_token
from czo_auth.core.users.user import User

FIRST_HOUR: Final = timedelta(hours=1)
"""How long after sign-up a sign-in is not reported as new."""


def is_new_browser(services: Services, tx: Transaction, user: User, cookie: str | None) -> bool:
    """
    Return whether *user* signs in with an unknown browser or program. Call it before the session is issued.

    A browser is known if it has the cookie of an earlier sign-in, or the user agent of a session from about the last
    week, because programs without cookies sign in repeatedly.

    Args:
        cookie: The value of the known-browser cookie.
    """
    if find_browser_token(services.key_ring, user, cookie, now=tx.now) is not None:
        return False
    agents = tx.sessions.list_agents(user.id)
    if not agents and tx.now < user.created_at + FIRST_HOUR:
        return False
    return tx.context.user_agent not in agents
