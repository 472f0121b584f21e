"""What happened to a user's own account, as they may see it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from czo_auth.core.errors import ValidationFailed
from czo_auth.core.events.types import SESSION_REVOKED, AuditFilter, AuditRecord, Outcome
from czo_auth.core.flows.services import Services
from czo_auth.core.paging import Page, PageQuery
from czo_auth.core.transaction import Transaction

_SHOWN: Final = frozenset(
    {"name", "prefix", "label", "actorType", "role", "amr"}
    | {"sessionId", "apiKeyId", "passkeyId", "deviceId", "invitationId", "webhookId", "host"}
)
"""Details that say what it was about. Reasons that administrators give to each other are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """
    One entry of a user's own log.

    Attributes:
        by_user: Whether the user acted; otherwise the user learns only the kind of the actor.
        actor_kind: ``anonymous``, ``user``, ``api_key``, ``operator`` or ``system``.
        method: How the user authenticated, such as ``pwd``; None if someone else acted.
        ip, user_agent: The client; None if someone else acted, or they are no longer stored.
        details: What it was about.
    """

    id: str
    at: datetime
    action: str
    outcome: Outcome
    by_user: bool
    actor_kind: str
    method: str | None
    organization_id: str | None
    ip: str | None = field(repr=False)
    user_agent: str | None = field(repr=False)
    details: Mapping[str, object] = field(repr=False)


async def read_activity(services: Services, user_id: str, *, page: PageQuery) -> Page[Activity]:
    """
    Read the audit records about a user, newest first.

    They do not include what the user did to others.

    Raises:
        ValidationFailed: The cursor is not one of ours.
    """
    before, matching = _sequence(page.cursor), AuditFilter(user_id=user_id)

    def read(tx: Transaction) -> Page[Activity]:
        # One more than requested, to see whether there is another page.
        found = tx.audit_log.audit_before(before, matching, limit=page.limit + 1)
        shown = found[: page.limit]
        return Page(
            items=[_entry(record, user_id) for record in shown],
            total=tx.audit_log.count_audit(matching),
            next_cursor=str(shown[-1].sequence) if len(found) > page.limit else None,
        )

    return await services.transactions.read(read)


def _sequence(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", cursor):
        raise ValidationFailed(details=(("cursor", "This is not the cursor of a page before."),))
    return int(cursor)


def _entry(record: AuditRecord, user_id: str) -> Activity:
    event, who = record.audit_event, record.context
    by_user = who.user_id == user_id
    is_own = by_user or (who.user_id is None and who.actor_kind not in ("operator", "system"))
    shown = _SHOWN | {"reason"} if event.action == SESSION_REVOKED else _SHOWN
    return Activity(
        id=record.id,
        at=record.at,
        action=event.action,
        outcome=event.outcome,
        by_user=by_user,
        actor_kind=who.actor_kind,
        method=who.method if is_own else None,
        organization_id=event.organization_id,
        ip=who.ip if is_own else None,
        user_agent=who.user_agent if is_own else None,
        details={name: value for name, value in event.details.items() if name in shown},
    )
