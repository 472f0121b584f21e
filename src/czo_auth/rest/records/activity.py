"""What happened to one's own account."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import WithJsonSchema

from czo_auth.core.flows.users import activity as core
from czo_auth.core.paging import Page
from czo_auth.rest.records.base import Id, Listed, Object, Record, Timestamp

Outcome = Annotated[str, WithJsonSchema({"enum": ["success", "failure", "denied"]})]
ActorKind = Annotated[str, WithJsonSchema({"enum": ["anonymous", "user", "api_key", "operator", "system"]})]


class Activity(Record):
    """
    One entry of a user's own activity log.

    `byYou` is whether the user acted. If somebody else did, method, address and browser are null.
    """

    id: Id
    at: Timestamp
    action: str
    outcome: Outcome
    by_you: bool
    actor_kind: ActorKind
    method: str | None
    organization_id: Id | None
    ip: str | None
    user_agent: str | None
    details: Object

    @classmethod
    def of(cls, entry: core.Activity) -> Self:
        """Make the record of *entry*."""
        return cls(
            id=entry.id,
            at=entry.at,
            action=entry.action,
            outcome=entry.outcome,
            by_you=entry.by_user,
            actor_kind=entry.actor_kind,
            method=entry.method,
            organization_id=entry.organization_id,
            ip=entry.ip,
            user_agent=entry.user_agent,
            details=entry.details,
        )


class ActivityPage(Listed):
    activity: list[Activity]

    @classmethod
    def of(cls, page: Page[core.Activity]) -> Self:
        """Return a page of a user's log."""
        listed = [Activity.of(each) for each in page.items]
        return cls(activity=listed, total=page.total, next_cursor=page.next_cursor)
