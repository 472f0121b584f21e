"""A user's own security log: what happened to the account, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from czo_auth.core.access import ACCOUNT
from czo_auth.core.events.types import SESSION_REVOKED, AuditRecord
from czo_auth.core.flows.users.activity import read_activity
from czo_auth.web.routing import PageRequest, Pages

pages = Pages()
PAGE = 30
_SUBJECTS = ("name", "prefix", "label")
"""Details that say which thing it was about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """
    One line of the log.

    Attributes:
        about: Which thing it was about; empty where nothing names it.
        by: Who acted: ``self``, or the kind of another one.
        ip, user_agent: Where from; None where somebody else acted, whose address is not the user's to know.
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
    """The user's own log, newest first, some at a time."""
    call = page.call
    before = page.sequence("cursor")
    # One more than is shown says whether the way goes on.
    found = await read_activity(call.runtime.services, before=before, limit=PAGE + 1, context=call.context)
    shown = found[:PAGE]
    return page.show(
        "activity.html",
        lines=[_line(record, call.principal.require_user()) for record in shown if not _is_renewal(record)],
        older=shown[-1].sequence if len(found) > PAGE else None,
        is_newest=before is None,
    )


def _is_renewal(record: AuditRecord) -> bool:
    """Whether a session only ended because the same sign-in got another one."""
    event = record.audit_event
    return event.action == SESSION_REVOKED and event.details.get("reason") == "renewed"


def _line(record: AuditRecord, user_id: str) -> Activity:
    event, who = record.audit_event, record.context
    is_own = who.user_id in (user_id, None) and who.actor_kind not in ("operator", "system")
    details = {name: text for name, text in event.details.items() if isinstance(text, str)}
    return Activity(
        action=event.action.removeprefix("auth.").replace(".", "_"),
        at=record.at,
        succeeded=event.outcome == "success",
        by="self" if who.user_id == user_id else who.actor_kind,
        about=", ".join(details[name] for name in _SUBJECTS if name in details),
        actor_type=details.get("actorType"),
        role=details.get("role"),
        ip=who.ip if is_own else None,
        user_agent=who.user_agent if is_own else None,
    )
