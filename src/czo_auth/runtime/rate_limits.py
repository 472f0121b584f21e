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

_PATIENCE_SECONDS: Final = 3.0
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


class NoRateLimits:
    """The coarse limits are switched off."""

    async def hit(self, effort: Effort, *, ip: str | None, account: str | None) -> None:
        """Let everything pass."""


class CoarseLimits:
    """
    Fixed numbers in a moving window.

    A limiter that cannot be reached lets the request pass: the database still holds the caps that matter (S31).

    Args:
        url: ``redis://…`` to share the counters between processes; None keeps them in this one.
    """

    def __init__(self, url: str | None = None) -> None:
        from limits import parse
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        self._limiter = SlidingWindowCounterRateLimiter(_storage(url))
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
        try:
            passed = await self._limiter.hit(limit, *key)
        except Exception:
            _LOG.warning("the rate limiter does not answer; the request passes", exc_info=True)
            return
        if not passed:
            raise RateLimited(retry_after=max(1, int(limit.get_expiry() / limit.amount)) + 1)


async def answers(url: str) -> bool:
    """Say whether the store at *url* answers."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
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
