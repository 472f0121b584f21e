"""Actor types that a request body names."""

from __future__ import annotations

from collections.abc import Iterable

from czo_auth.core.errors import UnknownActorType, ValidationFailed
from czo_auth.rest.routing import CurrentRequest


def check_actor_types(call: CurrentRequest, field: str, names: Iterable[str]) -> None:
    """
    Refuse a body whose *field* names an actor type that is not in the registry.

    In a path it is a resource that does not exist; in a body it is a value that is not valid, like any other.

    Raises:
        ValidationFailed
    """
    try:
        for name in names:
            call.runtime.services.actors.get(name)
    except UnknownActorType as refusal:
        raise ValidationFailed(details=((field, refusal.message),)) from None
