"""
Limits on actions that cost others something. Counted in the database, so that restarts and other processes see the same
count.

Coarse limits (`core.throttle.RateLimits`) absorb floods and can be turned off; these cannot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from czo_auth.core.errors import RateLimited
from czo_auth.core.throttle import network_of
from czo_auth.crypto import tokens

if TYPE_CHECKING:
    from czo_auth.core.context import Context
    from czo_auth.core.transaction import Transaction

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    Attributes:
        name: What is counted, and for whom; the same text is the same budget.
        limit: Uses in a window.
        window: Starts at the first use; the count restarts after its end.
    """

    name: str
    limit: int
    window: timedelta = DAY


class Budgets(Protocol):
    """Counts that end by themselves."""

    def spend(self, budget: Budget, *, now: datetime, uses: int = 1) -> datetime | None:
        """
        Count *uses*, or none of them. One atomic statement: of two concurrent uses of the last one left, one is
        refused.

        Returns:
            None when they were counted; otherwise when the window ends, and nothing was counted.
        """

    def give_back(self, budget: Budget) -> None:
        """Uncount a use from the same transaction that turned out not to count."""

    def forget(self, name: str) -> None:
        """Delete a count; the next use begins a new one."""

    def prune_expired(self, *, before: datetime) -> int:
        """Delete counts whose window ended before *before*. At most a thousand rows a call."""


def network_budget(name: str, limit: int, context: Context, *, window: timedelta = DAY) -> Budget:
    """
    Return the budget of the network that a request comes from; requests without an address share one.

    The name holds a digest, so that the counter shows no address, not even that of a deleted user.
    """
    network = network_of(context.ip) if context.ip else "unknown"
    return Budget(name=f"{name}/{tokens.digest_bytes(network.encode())}", limit=limit, window=window)


def consume_budget(tx: Transaction, budget: Budget, *, uses: int = 1) -> None:
    """
    Count *uses* in the transaction of what is counted.

    Raises:
        RateLimited: The limit was reached.
    """
    ends_at = tx.budgets.spend(budget, now=tx.now, uses=uses)
    if ends_at is not None:
        raise RateLimited(retry_after=max(1, math.ceil((ends_at - tx.now).total_seconds())))
