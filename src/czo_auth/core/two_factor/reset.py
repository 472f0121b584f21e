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
    """Resets that wait, and ended ones that the user has no mail about yet."""

    def add(self, reset: Reset, *, digest: str) -> bool:
        """Keep a reset with the digest of its cancel token; False when one waits for the user already. Atomic."""

    def find_waiting(self, user_id: str) -> Reset | None:
        """Read the reset that waits for a user, due or not."""

    def find_by_token(self, digest: str, *, now: datetime) -> Reset | None:
        """Read a waiting reset by its cancel token, which counts until the reset is due."""

    def list_waiting(self, *, after: Position | None = None, limit: int) -> Sequence[Reset]:
        """Read what waits, the soonest due first."""

    def count_waiting(self) -> int:
        """Count what waits."""

    def due(self, *, now: datetime, limit: int) -> Sequence[Reset]:
        """Read what waits and is due, the longest due first."""

    def close(self, reset_id: str, *, outcome: Outcome, now: datetime) -> bool:
        """End a waiting reset. One atomic statement: of two that end it at once, one gets True."""

    def closed(self, *, limit: int) -> Sequence[Reset]:
        """Read what ended and was not forgotten yet, oldest first."""

    def forget(self, reset_id: str) -> bool:
        """Delete a closed reset. One atomic statement: of two that forget it at once, one gets True."""
