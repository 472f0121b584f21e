"""The port through which mails are kept that no server has taken yet."""

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
        kind: What it tells; the only thing about it that logs may name.
        sealed: The message, as it holds an address and often a token.
        attempts: How often it was offered since it is kept.
        expires_at: When it is given up: after two days, or when its link is over.
    """

    id: str
    kind: str
    sealed: str = field(repr=False)
    attempts: int
    next_at: datetime
    created_at: datetime
    expires_at: datetime


class MailQueue(Protocol):
    """Mails that wait, the same for all processes."""

    def add(self, mail: QueuedMail, *, most: int) -> bool:
        """Keep a mail; False when *most* wait already."""

    def list_due(self, *, now: datetime, limit: int) -> Sequence[QueuedMail]:
        """Read mails whose next attempt is due, those that wait longest first."""

    def claim(self, mail: QueuedMail, *, until: datetime) -> bool:
        """
        Take a mail for an attempt; nobody else gets it before *until*.

        One atomic statement: of several processes, exactly one gets True.
        """

    def remove(self, mail_id: str) -> None:
        """Forget a mail: it was sent, or given up."""

    def count_waiting(self) -> tuple[int, datetime | None]:
        """Return how many wait, and since when the oldest does."""
