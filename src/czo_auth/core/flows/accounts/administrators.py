"""The rule that the deployment always has an administrator."""

from __future__ import annotations

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.errors import LastAdministrator
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


def is_administrator(actors: ActorRegistry, user: User) -> bool:
    """Whether *user* holds an actor type that administers and is not banned."""
    return user.banned_at is None and any(actors.administers(name) for name in user.actor_types)


def keep_an_administrator(tx: Transaction, actors: ActorRegistry, user_id: str) -> None:
    """
    Refuse to remove the last administrator. Call it before the user is locked.

    Until the transaction ends, no other administrator can be removed, so two cannot remove each other.

    Raises:
        LastAdministrator: No administrator would be left.
    """
    user = tx.users.find(user_id)
    if user is None or not is_administrator(actors, user):
        return
    tx.users.lock_administrators()
    user = tx.users.find(user_id)
    if user is None or not is_administrator(actors, user):
        return
    administering = [actor.name for actor in actors if actor.administers]
    if tx.users.count_administrators(administering, but=user.id) == 0:
        raise LastAdministrator
