"""The port for storing mails that no server has accepted yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """
    A mail that waits for its next attempt.

    Attributes:
        kind: Its kind, the only part that logs may contain.
        sealed: The message, encrypted because it contains an address and often a token.
        attempts: How often it was offered since it is kept.
        expires_at: When it is abandoned: after two days, or when its link expires.
    """

    id: str
    kind: str
    sealed: str = field(repr=False)
    attempts: int
    next_at: datetime
    created_at: datetime
    expires_at: datetime


class MailQueue(Protocol):
    """Waiting mails, shared by all processes."""

    def add(self, mail: QueuedMail, *, limit: int) -> bool:
        """Store a mail; False if *limit* are already waiting."""

    def list_due(self, *, now: datetime, limit: int) -> Sequence[QueuedMail]:
        """Read mails whose next attempt is due, longest waiting first."""

    def claim(self, mail: QueuedMail, *, until: datetime) -> bool:
        """
        Claim a mail for an attempt; no other process gets it before *until*.

        One atomic statement: of several processes, exactly one gets True.
        """

    def remove(self, mail_id: str) -> None:
        """Delete a mail that was sent or abandoned."""

    def count_waiting(self) -> tuple[int, datetime | None]:
        """Return how many wait, and since when the oldest does."""
