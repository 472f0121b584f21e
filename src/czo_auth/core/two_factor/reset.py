"""A pending reset of someone's second factor, and the port for storing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from czo_auth.core.paging import Position

Outcome = Literal[
    "carried_out",
    "link_used",
    "user_cancelled",
    "administrator_cancelled",
    "factor_proved",
    "factor_disabled",
    "asker_lost_rights",
    "user_banned",
    "superseded",
]
"""How a reset ended: carried out when it was due, or else why it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """
    A reset that an administrator asked for. It takes effect when it is due, unless it ends before.

    Attributes:
        asked_by: Id of the administrator who asked.
        reason: What they gave as reason; for administrators and the audit log, not for the user.
        closed_at, outcome: When and how it ended; None while it waits. It is stored until the user was notified.
    """

    id: str
    user_id: str
    asked_by: str
    reason: str
    asked_at: datetime
    due_at: datetime
    closed_at: datetime | None = None
    outcome: Outcome | None = None


class Resets(Protocol):
    """Pending resets, and ended ones that the user was not notified about yet."""

    def add(self, reset: Reset, *, digest: str) -> bool:
        """
        Store a reset with the digest of its cancel token; False if one is pending for the user. One atomic statement.
        """

    def find_waiting(self, user_id: str) -> Reset | None:
        """Read a user's pending reset, due or not."""

    def find_by_token(self, digest: str, *, now: datetime) -> Reset | None:
        """Read a pending reset by its cancel token, which is valid until the reset is due."""

    def list_waiting(self, *, after: Position | None = None, limit: int) -> Sequence[Reset]:
        """Read the pending resets, the soonest due first."""

    def count_waiting(self) -> int:
        """Count the pending resets."""

    def due(self, *, now: datetime, limit: int) -> Sequence[Reset]:
        """Read the pending resets that are due, the longest due first."""

    def close(self, reset_id: str, *, outcome: Outcome, now: datetime) -> bool:
        """End a pending reset. One atomic statement: of two concurrent calls, one gets True."""

    def closed(self, *, limit: int) -> Sequence[Reset]:
        """Read the ended resets that are still stored, oldest first."""

    def forget(self, reset_id: str) -> bool:
        """Delete an ended reset. One atomic statement: of two concurrent calls, one gets True."""
