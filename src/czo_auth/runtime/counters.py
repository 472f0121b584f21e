"""Counters with a moving window, in this process or shared through Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar, cast

from czo_auth.errors import StartRefused
from czo_auth.runtime.local_counters import Limit, LocalCounters, WindowStats

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.storage import Storage
    from limits.aio.strategies import SlidingWindowCounterRateLimiter

T = TypeVar("T")

_LOG = logging.getLogger("czo_auth.runtime.rate_limits")
_PING_SECONDS: Final = 3.0
_TIMEOUT_SECONDS: Final = 0.5
"""How long a request waits for the shared counters."""
_COOLDOWN_SECONDS: Final = 5.0
"""How long the shared counters are not used after they did not respond."""


class Counters:
    """
    Counts in a moving window.

    Unresponsive shared counters do not block requests: each process counts on its own until they respond.

    Args:
        url: ``redis://…`` to share the counters between processes; None keeps them in this one.
        now: The clock.

    Raises:
        StartRefused: The driver is not installed, or cannot read the address.
    """

    def __init__(self, url: str | None, *, now: Callable[[], datetime]) -> None:
        self._own = LocalCounters(clock=lambda: now().timestamp())
        self._shared = _SharedCounters(url) if url else None
        self._rest_until = 0.0

    async def hit(self, limit: Limit, *key: str) -> bool:
        """Count once; False, and nothing is counted, when *limit* is used up."""
        return await self._ask(lambda limiter: limiter.hit(limit, *key))

    async def window(self, limit: Limit, *key: str) -> WindowStats:
        """Return what is left of *limit*, and when some of it is free again."""
        return await self._ask(lambda limiter: limiter.get_window_stats(limit, *key))

    async def _ask(self, question: Callable[[_SharedCounters | LocalCounters], Awaitable[T]]) -> T:
        now = asyncio.get_running_loop().time
        if self._shared is None or now() < self._rest_until:
            return await question(self._own)
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                answer = await question(self._shared)
        except Exception as error:
            if not self._rest_until:
                _LOG.warning(
                    "the shared rate limits do not answer (%s); each process counts for itself",
                    type(error).__name__,
                )
            self._rest_until = now() + _COOLDOWN_SECONDS
            return await question(self._own)
        if self._rest_until:
            _LOG.info("the shared rate limits answer again")
            self._rest_until = 0.0
        return answer


async def answers(url: str) -> bool:
    """Return whether the store at *url* answers."""
    try:
        async with asyncio.timeout(_PING_SECONDS):
            return bool(await _storage(url).check())
    except Exception:
        # Whatever the driver raises, the store does not answer. The error is dropped: it may name the address, which
        # may hold a password.
        return False


class _SharedCounters:
    """The counters in Redis, kept there by the package `limits`."""

    def __init__(self, url: str) -> None:
        storage = _storage(url)
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        self._limiter: SlidingWindowCounterRateLimiter = SlidingWindowCounterRateLimiter(storage)

    async def hit(self, limit: Limit, *key: str) -> bool:
        return await self._limiter.hit(_item(limit), *key)

    async def get_window_stats(self, limit: Limit, *key: str) -> WindowStats:
        stats = await self._limiter.get_window_stats(_item(limit), *key)
        return WindowStats(reset_time=stats.reset_time, remaining=max(0, int(stats.remaining)))


def _item(limit: Limit) -> RateLimitItem:
    from limits import RateLimitItemPerMinute, RateLimitItemPerSecond

    kind = RateLimitItemPerMinute if limit.unit == "minute" else RateLimitItemPerSecond
    return kind(limit.amount, limit.multiples)


def _storage(url: str) -> Storage:
    from limits.errors import ConfigurationError
    from limits.storage import storage_from_string

    try:
        return cast("Storage", storage_from_string(f"async+{url}", implementation="redispy"))
    except (ConfigurationError, ValueError):
        # The driver's message may contain the address, and the address a password.
        raise StartRefused("CZO_AUTH_RATE_LIMIT_URL cannot be used: its driver cannot read it.") from None
