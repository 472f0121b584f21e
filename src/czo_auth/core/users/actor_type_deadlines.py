"""The port for finding users who hold an actor type that requires a second factor from a date on."""

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
    How many of the users under a dated rule lack the factor that it requires. Banned users are not counted.

    Attributes:
        refused: Users of whom it is already required.
        soon: Users of whom it will be required within the requested time.
    """

    refused: int
    soon: int


class ActorTypeDeadlines(Protocol):
    """Users who lack the second factor that one of their actor types requires from a date on."""

    def list_due(
        self, actor_type: ActorType, *, now: datetime, until: datetime, limit: int, after: str | None = None
    ) -> Sequence[User]:
        """Read the users of whom it will be required after *now* and by *until*, by id."""

    def count_due(self, actor_type: ActorType, *, now: datetime, until: datetime) -> DueCounts:
        """Count them, and the users of whom it is already required."""

    def mark_reminded(self, user_id: str, *, due_at: datetime, days: int) -> bool:
        """Record that a user was reminded *days* ahead of a date; False if they were already. One atomic statement."""
