"""
How often somebody may do what others pay for: counted in the database, so that no restart or other process forgets.

Coarse limits (`core.throttle.RateLimits`) soften floods and may be switched off; these are never.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from czo_auth.core.errors import RateLimited

if TYPE_CHECKING:
    from czo_auth.core.transaction import Transaction

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    Attributes:
        name: What is counted, and for whom; the same text is the same budget.
        limit: Uses in a window.
        window: Begins at the first use; after its end the count begins again.
    """

    name: str
    limit: int
    window: timedelta = DAY


class Budgets(Protocol):
    """Counts that end by themselves."""

    def spend(self, budget: Budget, *, now: datetime) -> datetime | None:
        """
        Count one use. One atomic statement: of two concurrent uses of the last one left, one is refused.

        Returns:
            None when it was counted; otherwise when the window ends, and nothing was counted.
        """

    def give_back(self, budget: Budget) -> None:
        """Take back a use that was counted in the same transaction, when it turned out not to count."""

    def prune_expired(self, *, before: datetime) -> int:
        """Delete counts whose window ended before *before*. At most a thousand rows a call."""


def spend(tx: Transaction, budget: Budget) -> None:
    """
    Count one use in the transaction of what is counted.

    Raises:
        RateLimited: There were as many as are allowed.
    """
    ends_at = tx.budgets.spend(budget, now=tx.now)
    if ends_at is not None:
        raise RateLimited(retry_after=max(1, math.ceil((ends_at - tx.now).total_seconds())))
