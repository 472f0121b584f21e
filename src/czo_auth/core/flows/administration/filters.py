"""
Checks of the filters of administrators' lists: a value that nothing can match is refused, so that a typing mistake does
not look like an empty list.

The values of this version and configuration alone do not decide: rows keep those of older versions, of a newer one that
runs beside this one, and of a former configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.events.types import ACTIONS, EVENT_TYPES, AuditFilter, EventFilter
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import UserFilter


def check_actor_type(tx: Transaction, name: str | None, actors: ActorRegistry) -> None:
    """
    Check the actor type by which users are selected; None selects all.

    Raises:
        ValidationFailed: It is not in the registry, and nobody holds it.
    """
    known = [actor.name for actor in actors]
    _check(
        "actorType",
        name,
        known=known,
        is_stored=lambda name: tx.users.count(UserFilter(actor_type=name), up_to=1) > 0,
        refusal=f"This actor type is unknown, and nobody holds it. It can be {', '.join(known)}.",
    )


def check_action(tx: Transaction, name: str | None) -> None:
    """
    Check the action by which audit records are selected; None selects all.

    Raises:
        ValidationFailed: It is unknown, and no record has it.
    """
    _check(
        "action",
        name,
        known=ACTIONS,
        is_stored=lambda name: bool(tx.audit_log.audit_before(None, AuditFilter(action=name), limit=1)),
        refusal="This action is unknown, and no record has it. Enter a whole one, such as auth.sign_in.",
    )


def check_event_type(tx: Transaction, name: str | None) -> None:
    """
    Check the type by which events are selected; None selects all.

    Raises:
        ValidationFailed: It is unknown, and no event has it.
    """
    _check(
        "type",
        name,
        known=EVENT_TYPES,
        is_stored=lambda name: bool(tx.outbox.events_before(None, limit=1, matching=EventFilter(type=name))),
        refusal="This type is unknown, and no event has it. Enter a whole one, such as auth.session.created.",
    )


def _check(
    field: str,
    value: str | None,
    *,
    known: Collection[str],
    is_stored: Callable[[str], bool],
    refusal: str,
) -> None:
    if value is not None and value not in known and not is_stored(value):
        raise ValidationFailed(details=((field, refusal),))
