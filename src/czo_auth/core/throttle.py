"""Brakes: locks on second factors (S4), and coarse limits before expensive work (S25)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSchedule:
    """
    Attributes:
        every: Consecutive failures after which the account's second factors lock.
        pauses: The length of the first, second, … lock; the last one repeats.
        stop_after: Consecutive failures after which only a password reset or an administrator helps.
    """

    every: int = 10
    pauses: tuple[timedelta, ...] = (
        timedelta(minutes=15),
        timedelta(minutes=30),
        timedelta(minutes=60),
        timedelta(minutes=60),
    )
    stop_after: int = 50

    def locked_until(self, failures: int, *, now: datetime) -> datetime | None:
        """Say until when the attempt number *failures* locks the account, or None when it does not."""
        if failures % self.every or failures >= self.stop_after:
            return None
        return now + self.pauses[min(failures // self.every, len(self.pauses)) - 1]

    def stops(self, failures: int) -> bool:
        """Say whether the attempt number *failures* is the last one for good."""
        return failures >= self.stop_after


LimitedAction = Literal["sign_in", "sign_up", "second_factor", "password", "mail", "leak"]
"""What is being tried; each has limits of its own."""


class RateLimits(Protocol):
    """
    Coarse limits by address and by account, asked before the expensive work.

    They soften floods and may be lost with a process; what must hold is in the database (attempt caps and locks).
    """

    async def hit(self, effort: LimitedAction, *, ip: str | None, account: str | None) -> None:
        """
        Count one try.

        Raises:
            RateLimited: There were too many from this address or for this account.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """
    How often one API key may be used.

    Attributes:
        requests: So many in any window.
        window_seconds: The length of the moving window.
    """

    requests: int
    window_seconds: int


class KeyRateLimits(Protocol):
    """Limits that owners put on their own keys; counted where `RateLimits` are, and lost with them."""

    async def hit(self, key_id: str, limit: RateLimit) -> None:
        """
        Count one use.

        Raises:
            ApiKeyRateLimited: There were too many; ``retry_after`` says when the next one passes.
        """
