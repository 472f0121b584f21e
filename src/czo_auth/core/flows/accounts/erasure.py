"""Taking a deleted user's personal parts out of the audit log and the outbox, in batches (S43)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from czo_auth.core.flows.services import Services
from czo_auth.core.transaction import Transaction

BATCH: Final = 1000
KEEP_ERASURES: Final = timedelta(days=1)
"""How long a deleted user is remembered, so that their requests still in progress record nothing."""

Erase = Callable[[Transaction, str, int], int | None]


class Erasure:
    """Completes deletions. Safe to run in several processes at once, and to run again."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def erase(self, user_id: str, *, now: datetime) -> None:
        """Remove a deleted user's personal parts. Once it returns, none are left."""
        for erase in (_from_audit, _from_events, _from_dead_letters):
            after: int | None = 0
            while after is not None:
                after = await self._services.transactions.run(partial(_erased, erase, user_id, after))
        await self._services.transactions.run(lambda tx: tx.audit_removal.finish_erasure(user_id, now=now))

    async def finish(self, *, now: datetime) -> None:
        """Complete the deletions that a process did not finish."""
        waiting = await self._services.transactions.read(
            lambda tx: tx.audit_removal.list_erasures(limit=BATCH)
        )
        for erasure in waiting:
            await self.erase(erasure.user_id, now=now)
        before = now - KEEP_ERASURES
        while await self._services.transactions.run(
            lambda tx: tx.audit_removal.prune_erasures(before=before)
        ):
            continue


def _erased(erase: Erase, user_id: str, after: int, tx: Transaction) -> int | None:
    return erase(tx, user_id, after)


def _from_audit(tx: Transaction, user_id: str, after: int) -> int | None:
    return tx.audit_removal.erase_from_audit(user_id, after=after, limit=BATCH)


def _from_events(tx: Transaction, user_id: str, after: int) -> int | None:
    return tx.audit_removal.erase_from_events(user_id, after=after, limit=BATCH)


def _from_dead_letters(tx: Transaction, user_id: str, after: int) -> int | None:
    return tx.audit_removal.erase_from_dead_letters(user_id, after=after, limit=BATCH)
