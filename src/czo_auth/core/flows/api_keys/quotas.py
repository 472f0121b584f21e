"""Quotas of keys, enforced by all processes together without a write per use."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.api_keys.quota import Period, Quota, days_of, period_at
from czo_auth.core.errors import QuotaExceeded
from czo_auth.core.limit_report import QUOTA, Remaining
from czo_auth.core.transaction import Transaction, Transactions

ASK_AGAIN: Final = timedelta(seconds=10)
"""How long not to ask the database after a quota was used up, although another process may return unused uses."""
_MAX_BLOCKS: Final = 50_000

_Place = tuple[str, str, int]
"""Counter, period and maximum, so that a block of another quota or period is never used."""


@dataclass(slots=True)
class _Block:
    """
    Attributes:
        left: Uses that this process took and that were not used yet.
        elsewhere: What others could still reserve when this block was reserved.
        asked_at: When that was.
        ends_at: The end of its period.
    """

    left: int
    elsewhere: int
    asked_at: datetime
    ends_at: datetime


class SpendQuotas:
    """
    Allows as many uses as each quota permits, over any number of processes.

    A process reserves a twentieth of a quota in the database and spends it without asking again. Unused uses are
    returned when the process ends; if it is killed, the customer loses them. A use is always counted for the period of
    the current clock, and each period has its own count, so after a clock jump the earlier count still applies.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._blocks: OrderedDict[_Place, _Block] = OrderedDict()
        self._taking: dict[tuple[asyncio.AbstractEventLoop, _Place], asyncio.Task[None]] = {}
        # A host may verify keys in several event loops, each in its own thread.
        self._mutex = threading.Lock()

    async def spend(self, quota: Quota, *, now: datetime) -> Remaining:
        """
        Count one use.

        Raises:
            QuotaExceeded: The quota of the period is used up; ``retry_after`` says when the next one begins.
            StorageUnavailable: A further block is needed and the database cannot give it.
        """
        period = period_at(quota.period, now)
        place = (quota.counter_id, period.name, quota.maximum)
        while True:
            left = self._use(place, period, now=now)
            if left is not None:
                return Remaining(QUOTA, left, period.seconds_left(now))
            await self._take_once(place, quota, period, now=now)

    async def give_back(self) -> None:
        """Return what was reserved but not used; if the database does not accept it, customers lose it."""
        with self._mutex:
            unused = [(place, block.left) for place, block in self._blocks.items() if block.left]
            self._blocks.clear()
        if not unused:
            return

        def give_all(tx: Transaction) -> None:
            for (counter_id, period, _), count in sorted(unused):
                tx.key_quotas.give_back(counter_id, period=period, count=count)

        await self._transactions.run(give_all)

    def _use(self, place: _Place, period: Period, *, now: datetime) -> int | None:
        """Use one of a block; return what is left of the quota, or None if a block must be reserved first."""
        with self._mutex:
            block = self._blocks.get(place)
            if block is None:
                return None
            if block.left:
                block.left -= 1
                return block.left + block.elsewhere
            if not block.elsewhere and block.asked_at <= now < block.asked_at + ASK_AGAIN:
                raise QuotaExceeded(retry_after=period.seconds_left(now))
            return None

    async def _take_once(self, place: _Place, quota: Quota, period: Period, *, now: datetime) -> None:
        """Reserve a block; others who need one of the same quota wait for this one."""
        loop = asyncio.get_running_loop()
        taking = self._taking.get((loop, place))
        # One that is done is forgotten a turn of the event loop later. A use that comes in between and finds the block
        # used up already must not wait for it: that would never let the loop go on.
        if taking is None or taking.done():
            taking = loop.create_task(self._take(place, quota, period, now=now))
            self._taking[loop, place] = taking
            taking.add_done_callback(lambda done: self._taken((loop, place), done))
        await asyncio.shield(taking)

    def _taken(self, key: tuple[asyncio.AbstractEventLoop, _Place], done: asyncio.Task[None]) -> None:
        if self._taking.get(key) is done:
            del self._taking[key]
        if not done.cancelled():
            # Waiters got the exception; without waiters it must not be logged as unhandled.
            done.exception()

    async def _take(self, place: _Place, quota: Quota, period: Period, *, now: datetime) -> None:
        taken = await self._transactions.run(
            lambda tx: tx.key_quotas.take(
                quota.counter_id,
                period=period.name,
                maximum=quota.maximum,
                block=quota.block,
                expires_at=period.expires_at,
            )
        )
        with self._mutex:
            block = self._blocks.pop(place, None)
            self._make_room(now)
            self._blocks[place] = _Block(
                left=taken.granted + (block.left if block else 0),
                elsewhere=taken.left,
                asked_at=now,
                ends_at=period.ends,
            )

    def _make_room(self, now: datetime) -> None:
        """Drop up to two expired blocks from the front, and one live block if there are too many."""
        for _ in range(2):
            oldest = next(iter(self._blocks.values()), None)
            if oldest is None or now < oldest.ends_at:
                break
            self._blocks.popitem(last=False)
        if len(self._blocks) >= _MAX_BLOCKS:
            self._blocks.popitem(last=False)


def carry_count_over(tx: Transaction, *, old: Quota | None, new: Quota | None) -> None:
    """Start the count of a month with that of its days, so that a change of period does not allow more."""
    if old is None or new is None or (old.period, new.period) != ("day", "month"):
        return
    month = period_at("month", tx.now)
    tx.key_quotas.move(new.counter_id, days=days_of(month), month=month.name, expires_at=month.expires_at)
