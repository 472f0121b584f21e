"""Housekeeping: uses and expiry of keys, signing keys, due resets, and deleting obsolete rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.api_keys.lifetime import UNUSED_MARGIN
from czo_auth.core.api_keys.usage import KeyUsage
from czo_auth.core.context import system_context
from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.flows.accounts.change_email import CHANGE_LIFETIME, REVERT_LIFETIME
from czo_auth.core.flows.administration.audit_retention import AuditRetention
from czo_auth.core.flows.api_keys.expiry import KeyExpiry
from czo_auth.core.flows.devices.authorize import AuthorizeDevice
from czo_auth.core.flows.sessions.signing_keys import SigningKeys
from czo_auth.core.flows.two_factor.reset import Recovery
from czo_auth.core.limits import MAX_GUESS_COUNTERS, USAGE_DAYS
from czo_auth.core.sessions.last_used import SessionUses
from czo_auth.core.transaction import Transaction, Transactions

FLUSH_EVERY: Final = timedelta(seconds=5)
SHUTDOWN_FLUSH_TIMEOUT: Final = timedelta(seconds=8)
"""
How long a process that is shutting down keeps trying to write the counted uses; longer than a single attempt waits for
a busy database.
"""

RESETS_EVERY: Final = timedelta(seconds=5)
KEPT_ANSWERS_EVERY: Final = timedelta(seconds=30)
DELAYED_MAILS_EVERY: Final = timedelta(minutes=1)
SIGNING_KEYS_EVERY: Final = timedelta(minutes=1)
TIDY_EVERY: Final = timedelta(minutes=10)
RETENTION_EVERY: Final = timedelta(minutes=10)
KEY_EXPIRY_EVERY: Final = timedelta(minutes=10)
KEEP_EXPIRED: Final = timedelta(days=1)
KEEP_ENDED_KEYS: Final = timedelta(days=30)
"""How long an expired key is kept, so that its owner sees when it expired."""

KEEP_CEREMONIES: Final = timedelta(hours=1)
"""Longer than a clock may be set back: the mark of an answered ceremony outlives the ceremony."""
KEEP_EVENTS: Final = timedelta(days=30)
KEEP_WAITING_EVENTS: Final = timedelta(days=90)
"""How long events are kept for a sink that has not received them: then it counts as gone."""

KEEP_DEAD_LETTERS = timedelta(days=90)

_LOG = logging.getLogger("czo_auth")
_PAUSE: Final = 0.1
"""Seconds between two tries of a last write."""


class Housekeeping:
    """Does what is due; safe to run in several processes at once."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        key_usage: KeyUsage,
        session_uses: SessionUses | None = None,
        signing_keys: SigningKeys,
        recovery: Recovery,
        key_expiry: KeyExpiry,
        audit_retention: AuditRetention,
        devices: AuthorizeDevice,
        now: Callable[[], datetime],
    ) -> None:
        self._transactions = transactions
        self._key_usage = key_usage
        self._session_uses = session_uses or SessionUses()
        self._signing_keys = signing_keys
        self._recovery = recovery
        self._key_expiry = key_expiry
        self._audit_retention = audit_retention
        self._devices = devices
        self._now = now
        self._failed_at: datetime | None = None

    async def flush_key_uses(self) -> bool:
        """
        Write how often keys were used, and when last, in one transaction; an outage loses nothing (S19).

        Returns:
            False if another transaction held some of the keys, whose uses wait for the next time.
        """
        gathered = self._key_usage.take()
        if not gathered:
            return True
        keeps = self._key_usage.records_addresses
        try:
            busy = await self._transactions.run(lambda tx: tx.key_uses.add(gathered, keeps_addresses=keeps))
        except StorageUnavailable:
            self._key_usage.give_back(gathered)
            self._failed_at = self._now()
            raise
        if busy:
            self._key_usage.give_back(gathered.only(busy))
        return not busy

    async def forget_key_addresses(self) -> None:
        """Delete the networks that keys were used from, if they are no longer kept."""
        if not self._key_usage.records_addresses:
            await self._prune(lambda tx: tx.key_uses.forget_addresses())

    async def flush_session_uses(self) -> bool:
        """
        Write when sessions were last used, in one transaction; an outage loses nothing.

        Returns:
            False if another transaction held some of the sessions, whose uses wait for the next time.
        """
        seen = self._session_uses.take()
        if not seen:
            return True
        try:
            busy = await self._transactions.run(lambda tx: tx.sessions.touch(seen))
        except StorageUnavailable:
            self._session_uses.give_back(seen)
            raise
        if busy:
            self._session_uses.give_back({one: seen[one] for one in busy})
        return not busy

    async def flush_all(self, *, within: timedelta) -> None:
        """Write all uses before the end; try again while the database does not answer, and log what is lost."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + within.total_seconds()
        for flush in (self.flush_key_uses, self.flush_session_uses):
            while True:
                with suppress(StorageUnavailable):
                    if await flush():
                        break
                if loop.time() >= ends_at:
                    _LOG.warning("the database does not answer; the last uses of keys or sessions are lost")
                    break
                await asyncio.sleep(_PAUSE)

    async def carry_out_resets(self) -> None:
        """Carry out the resets of second factors that are due, and tell users how theirs ended."""
        await self._recovery.carry_out_due(now=self._now())

    async def enforce_key_expiry(self) -> None:
        """
        Notify the owners of keys that expire soon, and expire unused keys.

        No unused key expires while uses may be unwritten because of an outage, in this or another process (S19).
        """
        await self.flush_key_uses()
        now = self._now()
        await self._key_expiry.cap(now=now)
        await self._key_expiry.remind(now=now)
        await self._key_expiry.warn_unused(now=now)
        if self._failed_at is None or now - self._failed_at > UNUSED_MARGIN:
            await self._key_expiry.expire_unused(now=now)

    async def load_signing_keys(self) -> None:
        """Rotate signing keys that are due, and load those that another process or an operator rotated."""
        await self._signing_keys.load(now=self._now())

    async def tidy(self) -> None:
        """Delete rows that are no longer of use."""
        now = self._now()
        before = now - KEEP_EXPIRED
        await self._prune(lambda tx: tx.sessions.prune_expired(before=before))
        await self._prune(lambda tx: tx.two_factor.prune_expired(before=before))
        await self._prune(lambda tx: tx.passkeys.prune_expired(before=now - KEEP_CEREMONIES))
        await self._prune(lambda tx: tx.users.prune_expired(before=before))
        await self._prune(lambda tx: tx.password_guesses.prune_forgotten(now=now))
        await self._transactions.run(lambda tx: tx.password_guesses.keep_newest(MAX_GUESS_COUNTERS))
        await self._prune(lambda tx: tx.email_changes.prune_expired(before=before))
        # Both times count from the request: a change that can no longer be taken back can no longer be confirmed
        # either.
        expired = now + REVERT_LIFETIME - CHANGE_LIFETIME
        await self._prune(lambda tx: tx.email_changes.forget_unconfirmed(before=expired))
        await self._prune(lambda tx: tx.organizations.prune_expired(before=before))
        ended = now - KEEP_ENDED_KEYS
        await self._prune(lambda tx: tx.api_keys.prune_expired(before=before, expired=ended))
        first_day = (now - timedelta(days=USAGE_DAYS - 1)).date()
        await self._prune(lambda tx: tx.key_uses.prune(before=first_day))
        await self._prune(lambda tx: tx.key_quotas.prune_expired(before=now))
        await self._prune(lambda tx: tx.budgets.prune_expired(before=now))
        abandoned = now - KEEP_WAITING_EVENTS
        await self._prune(lambda tx: tx.outbox.prune_events(before=now - KEEP_EVENTS, abandoned=abandoned))
        await self._prune(lambda tx: tx.outbox.prune_dead_letters(before=now - KEEP_DEAD_LETTERS))
        await self._prune(lambda tx: tx.webhooks.prune_deliveries(before=now - KEEP_EVENTS))

    async def forget_answers(self) -> None:
        """Delete stored answers when they expire (S42), and keys that no device fetched."""
        now = self._now()
        await self._prune(lambda tx: tx.idempotency.prune_expired(before=now))
        await self._devices.end_unfetched(context=system_context(now))

    async def keep_retention(self) -> None:
        """Apply the retention of the audit log, and finish interrupted erasures."""
        await self._audit_retention.apply(now=self._now())

    async def _prune(self, step: Callable[[Transaction], int]) -> None:
        """Delete some rows at a time, so that no other write waits long."""
        while await self._transactions.run(step):
            continue
