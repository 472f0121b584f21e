"""Throttling: locks on second factors (S4), and coarse limits before expensive work (S25)."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from czo_auth.core.limit_report import Remaining


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSchedule:
    """
    Attributes:
        failures_per_lock: Consecutive failures after which the account's second factors lock.
        pauses: The length of the first, second, … lock; the last one repeats.
        permanent_lock_after: Consecutive failures after which only a password reset or an administrator helps.
    """

    failures_per_lock: int = 10
    pauses: tuple[timedelta, ...] = (
        timedelta(minutes=15),
        timedelta(minutes=30),
        timedelta(minutes=60),
        timedelta(minutes=60),
    )
    permanent_lock_after: int = 50

    def locked_until(self, failures: int, *, now: datetime) -> datetime | None:
        """Return until when attempt number *failures* locks the account; None if it does not."""
        if failures % self.failures_per_lock or failures >= self.permanent_lock_after:
            return None
        return now + self.pauses[min(failures // self.failures_per_lock, len(self.pauses)) - 1]

    def stops(self, failures: int) -> bool:
        """Return whether attempt number *failures* stops the account."""
        return failures >= self.permanent_lock_after


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessSchedule:
    """
    How wrong passwords delay later attempts. Failures are forgotten at a constant rate.

    Attributes:
        free: Wrong passwords without delay.
        first_pause: The pause after the first wrong password beyond these; each further one doubles it.
        forgotten_after: How long it takes to forget one; also the longest pause.
    """

    free: int
    first_pause: timedelta
    forgotten_after: timedelta

    def pause(self, failures: int) -> timedelta:
        """Return how long the next guess waits after *failures* that are not forgotten."""
        beyond = failures - self.free
        if beyond <= 0:
            return timedelta(0)
        return min(self.first_pause * (1 << min(beyond - 1, 30)), self.forgotten_after)

    @property
    def guesses_a_day(self) -> int:
        """
        The most guesses in any 24 hours.

        Once the pause is as long as it takes to forget one guess, the count cannot grow: each further guess replaces a
            forgotten one.
        """
        doublings = math.ceil(math.log2(self.forgotten_after / self.first_pause))
        return self.free + doublings + 1 + timedelta(days=1) // self.forgotten_after


ACCOUNT_GUESSES: Final = GuessSchedule(
    free=50, first_pause=timedelta(seconds=5), forgotten_after=timedelta(minutes=6)
)
"""At one account, from all browsers that have not signed in to it before."""
SOURCE_GUESSES: Final = GuessSchedule(
    free=20, first_pause=timedelta(seconds=5), forgotten_after=timedelta(minutes=15)
)
"""At one account from one network; in a browser that signed in before; in one session."""


class GuessCounters(Protocol):
    """Counters of wrong passwords; a bounded table that all processes share."""

    def count(self, key: str, *, schedule: GuessSchedule, now: datetime) -> datetime | None:
        """
        Count a guess in advance, unless earlier ones delay it. One atomic statement.

        Returns:
            None if it was counted, else when the next guess is allowed.
        """

    def take_back(self, key: str, *, schedule: GuessSchedule, now: datetime) -> None:
        """Uncount one guess, and the pause that it caused."""

    def forget(self, key: str) -> None:
        """Forget a counter."""

    def keep_newest(self, limit: int) -> int:
        """Delete the counters beyond *limit* that are forgotten soonest; return how many."""

    def prune_forgotten(self, *, now: datetime) -> int:
        """Delete counters on which nothing is left, at most a thousand a call."""


def network_of(ip: str) -> str:
    """
    Return the network by which a client is counted: for IPv6 the /64, which usually belongs to one customer.

    What is not an address is returned as it is. An IPv4 address that is mapped into IPv6 counts as the IPv4 address.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address.packed, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)


LimitedAction = Literal["sign_in", "refresh", "sign_up", "second_factor", "password", "mail", "leak"]
"""What is being tried; each has limits of its own."""


class RateLimits(Protocol):
    """
    Coarse limits by address and by account, checked before expensive work.

    They absorb floods and may be lost with a process; hard limits are in the database (attempt caps and locks).
    """

    async def hit(self, action: LimitedAction, *, ip: str | None, account: str | None) -> None:
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
        requests: The maximum in any window.
        window_seconds: The length of the moving window.
    """

    requests: int
    window_seconds: int


class KeyRateLimits(Protocol):
    """Limits that owners put on their own keys; counted where `RateLimits` are, and lost in the same cases."""

    async def hit(self, key_id: str, limit: RateLimit) -> Remaining:
        """
        Count one use.

        Returns:
            What is left, according to the counters.

        Raises:
            ApiKeyRateLimited: There were too many; ``retry_after`` says when the next one is allowed.
        """
