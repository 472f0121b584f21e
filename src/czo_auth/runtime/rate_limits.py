"""Coarse limits by address and by account, and those of single keys, in this process or shared through Redis (S25)."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final

from czo_auth.core.errors import ApiKeyRateLimited, RateLimited
from czo_auth.core.limit_report import RATE_LIMIT, Remaining
from czo_auth.core.throttle import LimitedAction, RateLimit, network_of
from czo_auth.runtime.counters import Counters
from czo_auth.runtime.local_counters import Limit

_PER_ADDRESS: Final[dict[LimitedAction, Limit]] = {
    "sign_in": Limit(300, 1),
    "refresh": Limit(600, 1),
    "sign_up": Limit(200, 1),
    "second_factor": Limit(600, 1),
    "password": Limit(300, 1),
    "mail": Limit(60, 1),
    "leak": Limit(60, 1),
}
_PER_ACCOUNT: Final[dict[LimitedAction, Limit]] = {
    "second_factor": Limit(100, 5),
    "mail": Limit(10, 15),
}


class NoRateLimits:
    """The coarse limits are turned off."""

    async def hit(self, action: LimitedAction, *, ip: str | None, account: str | None) -> None:
        """Allow everything."""


class CoarseLimits:
    """
    Fixed numbers in a moving window. The caps that matter are in the database (S31).

    Args:
        url: ``redis://…`` to share the counters between processes; None keeps them in this one.
        now: The clock.
    """

    def __init__(self, url: str | None = None, *, now: Callable[[], datetime]) -> None:
        self._counters = Counters(url, now=now)

    async def hit(self, action: LimitedAction, *, ip: str | None, account: str | None) -> None:
        """Count one try; see ``core.throttle.RateLimits``."""
        if ip is not None:
            await self._count(_PER_ADDRESS.get(action), action, "ip", network_of(ip))
        if account is not None:
            await self._count(_PER_ACCOUNT.get(action), action, "account", account)

    async def _count(self, limit: Limit | None, *key: str) -> None:
        if limit is not None and not await self._counters.hit(limit, *key):
            raise RateLimited(retry_after=max(1, int(limit.seconds / limit.amount)) + 1)


class KeyLimits:
    """
    Implements `czo_auth.core.throttle.KeyRateLimits` with a moving window.

    It protects only the key's owner, so it applies even if the coarse limits are turned off.

    Args:
        url: ``redis://…`` to share the counters between processes; None keeps them in this one; then each process
            allows the full limit.
        now: The clock.
    """

    def __init__(self, url: str | None = None, *, now: Callable[[], datetime]) -> None:
        self._url = url
        self._now = now
        self._counters: Counters | None = None

    async def hit(self, key_id: str, limit: RateLimit) -> Remaining:
        """Count one use; see ``core.throttle.KeyRateLimits``."""
        # Created when the first key needs it: in most deployments none does.
        counters = self._counters = self._counters or Counters(self._url, now=self._now)
        item = Limit(limit.requests, limit.window_seconds, "second")
        passes = await counters.hit(item, "api_key", key_id)
        window = await counters.window(item, "api_key", key_id)
        now = self._now().timestamp()
        # Nothing more becomes free until the counts of the current window begin to expire.
        until = (
            window.reset_time
            if not window.remaining
            else now - now % limit.window_seconds + limit.window_seconds
        )
        seconds = min(max(1, math.ceil(until - now)), limit.window_seconds)
        if not passes:
            raise ApiKeyRateLimited(retry_after=seconds)
        return Remaining(RATE_LIMIT, window.remaining, seconds)
