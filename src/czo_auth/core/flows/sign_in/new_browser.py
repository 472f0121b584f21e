"""Whether a sign-in comes from where the user was not seen before."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.known_browser import find_browser_token
from czo_auth.core.users.user import User

FIRST_HOUR: Final = timedelta(hours=1)
"""So long after sign-up, a first sign-in is no news."""


def is_new_browser(services: Services, tx: Transaction, user: User, held: str | None) -> bool:
    """
    Return whether *user* signs in with a browser or program that is not known; asked before the session is issued.

    Known is one that holds the cookie of an earlier sign-in, or calls itself as that of a session does that the user
    had within about a week: programs without cookies sign in again and again.

    Args:
        held: The value of the known-browser cookie.
    """
    if find_browser_token(services.key_ring, user, held, now=tx.now) is not None:
        return False
    agents = tx.sessions.list_agents(user.id)
    if not agents and tx.now < user.created_at + FIRST_HOUR:
        return False
    return tx.context.user_agent not in agents
