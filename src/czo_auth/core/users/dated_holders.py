"""Who holds an actor type that demands a second factor from a day on, and the port through which they are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from czo_auth.core.actors import ActorType
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCounts:
    """
    How many holders of a dated rule lack the factor that it demands. Banned users are not counted.

    Attributes:
        refused: Of whom it is demanded by now.
        soon: Of whom it will be demanded within the time that was asked for.
    """

    refused: int
    soon: int


class DatedHolders(Protocol):
    """Users with an actor type that demands a second factor from a day on, and who lack it."""

    def list_due(
        self, actor_type: ActorType, *, now: datetime, until: datetime, limit: int, after: str | None = None
    ) -> Sequence[User]:
        """Read those of whom it will be demanded after *now* and by *until*, by id."""

    def count_due(self, actor_type: ActorType, *, now: datetime, until: datetime) -> DueCounts:
        """Count them, and those of whom it is demanded by now."""

    def mark_reminded(self, user_id: str, *, due_at: datetime, days: int) -> bool:
        """Record that a user was reminded *days* ahead of a date; False if they were already. One atomic statement."""
