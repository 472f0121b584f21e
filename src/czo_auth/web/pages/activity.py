"""A user's own activity log, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.events.types import SESSION_REVOKED
from czo_auth.core.flows.users.activity import Activity, read_activity
from czo_auth.core.paging import PageQuery
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
PAGE = 30
_SUBJECTS = ("name", "prefix", "label", "host")
"""Details that name the object of an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    One line of the page.

    Attributes:
        about: The object of the entry; empty if no detail names it.
        by: Who acted: ``self``, or the kind of another actor.
        ip, user_agent: The client; None if somebody else acted, because the user must not learn their address.
    """

    action: str
    at: datetime
    succeeded: bool
    by: str
    about: str
    actor_type: str | None
    role: str | None
    ip: str | None
    user_agent: str | None


@pages.get("/activity", access=ACCOUNT)
async def activity(page: PageRequest) -> Response:
    """Show the user's own log page by page, newest first."""
    call, before = page.call, page.sequence("cursor")
    wanted = PageQuery(limit=PAGE, cursor=None if before is None else str(before))
    found = await read_activity(call.runtime.services, call.caller.require_user(), page=wanted)
    return page.show(
        "activity.html",
        lines=[_line(entry) for entry in found.items if not _is_renewal(entry)],
        older=found.next_cursor,
        is_newest=before is None,
    )


def _is_renewal(entry: Activity) -> bool:
    """Whether a session ended only because it was replaced within the same sign-in."""
    return entry.action == SESSION_REVOKED and entry.details.get("reason") == "renewed"


def _line(entry: Activity) -> Line:
    details = {name: text for name, text in entry.details.items() if isinstance(text, str)}
    return Line(
        action=entry.action.removeprefix("auth.").replace(".", "_"),
        at=entry.at,
        succeeded=entry.outcome == "success",
        by="self" if entry.by_user else entry.actor_kind,
        about=", ".join(details[name] for name in _SUBJECTS if name in details),
        actor_type=details.get("actorType"),
        role=details.get("role"),
        ip=entry.ip,
        user_agent=entry.user_agent,
    )
