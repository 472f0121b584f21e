"""
Mails that no server accepts now: stored encrypted, and retried for two days.

None is lost if a mail server is down for a day, or if a process ends.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_QUEUED_MAILS
from czo_auth.core.mail import Mail, MailMessage, is_final
from czo_auth.core.mail_queue import QueuedMail
from czo_auth.crypto.sealing import OpenError, UnknownKeyId

_LOG = logging.getLogger("czo_auth.mail")
KEPT_FOR: Final = timedelta(days=2)
PAUSES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60))
"""Pauses before the first attempts; the last one applies to all further attempts."""
_CLAIMED_FOR: Final = timedelta(minutes=5)
_BATCH: Final = 100
_MAX_FAILURES_A_RUN: Final = 3
"""After this many failures in one run the server counts as down, and the other mails wait for the next run."""
_PURPOSE: Final = "queued_mail"


class DelayedMails:
    """Stores mails, and sends them when a server accepts them again. Safe in several processes at once."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def keep(self, message: MailMessage, *, now: datetime) -> bool:
        """
        Store *message* for later attempts.

        Returns:
            False if the maximum number of mails is waiting.
        """
        mail_id = new_id(now)
        text = json.dumps(asdict(message) | {"valid_for": None})
        sealed = self._services.key_ring.seal(text.encode(), purpose=_PURPOSE, bound_to={"mail": mail_id})
        # A link that has expired by the time it arrives helps nobody.
        lifetime = KEPT_FOR if message.valid_for is None else min(KEPT_FOR, message.valid_for)
        queued = QueuedMail(
            id=mail_id,
            kind=message.kind,
            sealed=sealed,
            attempts=0,
            next_at=now + PAUSES[0],
            created_at=now,
            expires_at=now + lifetime,
        )
        return await self._services.transactions.run(
            lambda tx: tx.mail_queue.add(queued, limit=MAX_QUEUED_MAILS)
        )

    async def send_due(self, mail: Mail, *, now: datetime) -> None:
        """Try to send the mails that are due; log those that are given up, by kind."""
        transactions = self._services.transactions
        due = await transactions.read(lambda tx: tx.mail_queue.list_due(now=now, limit=_BATCH))
        failures = 0
        for queued in due:
            if failures >= _MAX_FAILURES_A_RUN:
                break
            failures += not await self._offer(queued, mail, now=now)
        if failures:
            waiting, since = await transactions.read(lambda tx: tx.mail_queue.count_waiting())
            if since is not None:
                _LOG.warning(
                    "%d mails wait for the mail server, the first since %s", waiting, since.isoformat()
                )

    async def _offer(self, queued: QueuedMail, mail: Mail, *, now: datetime) -> bool:
        """Try to send one mail, unless another process does; False if the server does not accept mail."""
        transactions = self._services.transactions
        pause = PAUSES[min(queued.attempts + 1, len(PAUSES) - 1)]
        until = now + max(pause, _CLAIMED_FOR)
        if not await transactions.run(lambda tx: tx.mail_queue.claim(queued, until=until)):
            return True
        message = None if queued.expires_at <= now else self._opened(queued)
        if message is None:
            _LOG.error("mail of kind %s was given up after %d more tries", queued.kind, queued.attempts)
            await transactions.run(lambda tx: tx.mail_queue.remove(queued.id))
            return True
        try:
            await mail.send(message)
        except Exception as error:
            # Only the class: the text of an unknown error may contain the message.
            _LOG.warning("mail of kind %s, kept: %s", queued.kind, type(error).__name__)
            if not is_final(error):
                return False
            _LOG.error("mail of kind %s could not be sent", queued.kind)
        await transactions.run(lambda tx: tx.mail_queue.remove(queued.id))
        return True

    def _opened(self, queued: QueuedMail) -> MailMessage | None:
        """Decrypt a stored mail; None if its encryption key is gone."""
        try:
            text = self._services.key_ring.open(queued.sealed, purpose=_PURPOSE, bound_to={"mail": queued.id})
        except (OpenError, UnknownKeyId):
            return None
        fields: dict[str, Any] = json.loads(text)
        return MailMessage(**fields)
