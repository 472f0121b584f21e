"""Coarse limits by address and by account, in this process or shared through Redis (S25)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from typing import TYPE_CHECKING, Final, cast

from czo_auth.core.errors import RateLimited
from czo_auth.core.throttle import Effort

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.storage import Storage

_PING_SECONDS: Final = 3.0
_LOG = logging.getLogger("czo_auth.runtime.rate_limits")
_PER_ADDRESS: Final[dict[Effort, str]] = {
    "sign_in": "300/minute",
    "sign_up": "200/minute",
    "second_factor": "600/minute",
    "password": "300/minute",
    "mail": "60/minute",
    "leak": "60/minute",
}
_PER_ACCOUNT: Final[dict[Effort, str]] = {
    "sign_in": "100/5 minutes",
    "second_factor": "100/5 minutes",
    "password": "100/5 minutes",
    "mail": "10/15 minutes",
}
_PATIENCE_SECONDS: Final = 0.5
"""How long a request waits for the shared counters."""
_REST_SECONDS: Final = 5.0
"""How long nobody asks for the shared counters after they did not answer."""


class NoRateLimits:
    """The coarse limits are switched off."""

    async def hit(self, effort: Effort, *, ip: str | None, account: str | None) -> None:
        """Let everything pass."""


class CoarseLimits:
    """
    Fixed numbers in a moving window.

    Shared counters that do not answer hold no request up: each process counts for itself until they do. The caps
    that matter are in the database (S31).

    Args:
        url: ``redis://…`` to share the counters between processes; None keeps them in this one.
    """

    def __init__(self, url: str | None = None) -> None:
        from limits import parse
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        self._own = SlidingWindowCounterRateLimiter(_storage(None))
        self._shared = SlidingWindowCounterRateLimiter(_storage(url)) if url else None
        self._rest_until = 0.0
        self._per_address = {effort: parse(text) for effort, text in _PER_ADDRESS.items()}
        self._per_account = {effort: parse(text) for effort, text in _PER_ACCOUNT.items()}

    async def hit(self, effort: Effort, *, ip: str | None, account: str | None) -> None:
        """Count one try; see ``core.throttle.RateLimits``."""
        if ip is not None:
            await self._count(self._per_address.get(effort), effort, "ip", _network(ip))
        if account is not None:
            await self._count(self._per_account.get(effort), effort, "account", account)

    async def _count(self, limit: RateLimitItem | None, *key: str) -> None:
        if limit is None:
            return
        passed = await self._ask_shared(limit, *key)
        if passed is None:
            passed = await self._own.hit(limit, *key)
        if not passed:
            raise RateLimited(retry_after=max(1, int(limit.get_expiry() / limit.amount)) + 1)

    async def _ask_shared(self, limit: RateLimitItem, *key: str) -> bool | None:
        """Count in the shared counters; None when there are none, or they do not answer."""
        now = asyncio.get_running_loop().time
        if self._shared is None or now() < self._rest_until:
            return None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                passed = await self._shared.hit(limit, *key)
        except Exception as error:
            if not self._rest_until:
                _LOG.warning(
                    "the shared rate limits do not answer (%s); each process counts for itself",
                    type(error).__name__,
                )
            self._rest_until = now() + _REST_SECONDS
            return None
        if self._rest_until:
            _LOG.info("the shared rate limits answer again")
            self._rest_until = 0.0
        return passed


async def answers(url: str) -> bool:
    """Say whether the store at *url* answers."""
    try:
        async with asyncio.timeout(_PING_SECONDS):
            return bool(await _storage(url).check())
    except Exception:
        # Whatever its driver raises, it does not answer; some say so with the address, which may hold a password.
        return False


def _storage(url: str | None) -> Storage:
    from limits.storage import storage_from_string

    if url is None:
        return cast("Storage", storage_from_string("async+memory://"))
    return cast("Storage", storage_from_string(f"async+{url}", implementation="redispy"))


def _network(ip: str) -> str:
    """Count an IPv6 client by its /64, which one customer commonly has whole."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 4:
        return ip
    return str(ipaddress.ip_network((address, 64), strict=False))
