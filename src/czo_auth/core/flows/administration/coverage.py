"""Coverage of second factors, for administrators and operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """
    Coverage of second factors among the users of one actor type.

    Attributes:
        demanded: Whether the actor type requires a second factor; users without one can only enroll.
        dated: Whether it requires it from a later date.
        users, with_factor: Banned users are not counted.
    """

    actor_type: str
    demanded: bool
    dated: bool = False
    users: int
    with_factor: int


def count_coverage(tx: Transaction, actors: ActorRegistry) -> Sequence[Coverage]:
    """Count for each actor type who has a second factor."""
    found = []
    for actor_type in actors:
        users, with_factor = tx.users.count_factors(
            actor_type.name, passkeys_only=actor_type.two_factor == "phishing_resistant"
        )
        found.append(
            Coverage(
                actor_type=actor_type.name,
                demanded=actor_type.requires_two_factor,
                dated=actor_type.is_dated,
                users=users,
                with_factor=with_factor,
            )
        )
    return found
