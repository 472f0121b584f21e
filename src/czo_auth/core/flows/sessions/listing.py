"""The live sessions of a user, as they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from czo_auth.core.flows.services import Services
from czo_auth.core.paging import Page, PageQuery, Position, page_of
from czo_auth.core.sessions.session import Session
from czo_auth.core.transaction import Transaction


def live_sessions(
    services: Services, tx: Transaction, user_id: str, *, now: datetime, own_id: str | None = None
) -> Sequence[Session]:
    """
    List the sessions of a user that would be accepted, newest first.

    Args:
        own_id: The session that asks: it is in use, whatever is stored about its last use.
    """
    idle = services.policies.sessions.idle
    return [
        one
        for one in tx.sessions.list_live(user_id, now=now)
        if idle is None or one.id == own_id or (one.last_used_at or one.created_at) + idle > now
    ]


def page_of_sessions(found: Sequence[Session], request: PageQuery) -> Page[Session]:
    """
    Return the requested part of *found*.

    Raises:
        ValidationFailed: The cursor is not one of a page before.
    """
    after = request.position
    rest = [one for one in found if after is None or _position(one) < after]
    return page_of(rest, request, total=len(found), position=_position)


def _position(session: Session) -> Position:
    return session.created_at, session.id
