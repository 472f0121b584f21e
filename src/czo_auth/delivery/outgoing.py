"""Mail in the background, so that how long an answer takes does not tell whether a mail was sent (S24)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from czo_auth.core.errors import MailNotConfigured, MailUnavailable
from czo_auth.core.mail import Mail, MailMessage

_log = logging.getLogger("czo_auth.mail")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingPolicy:
    """
    Attributes:
        capacity: Messages that may wait; beyond it they are dropped.
        senders: Messages on their way at once.
        tries: How often a message is offered.
        first_pause: After the first failure; doubled each time.
    """

    capacity: int = 1000
    senders: int = 4
    tries: int = 4
    first_pause: timedelta = timedelta(seconds=2)


class Outgoing:
    """
    A ``Mail`` that takes every message at once, and sends it in the background through another.

    It never refuses: a refusal would come only for addresses that exist. What cannot be sent is logged by its kind,
    without address and token, and the person asks again. Messages live in memory; a process that dies loses them.
    """

    def __init__(self, mail: Mail, *, policy: OutgoingPolicy | None = None) -> None:
        self._mail = mail
        self._policy = policy or OutgoingPolicy()
        self._waiting: deque[MailMessage] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()

    async def send(self, message: MailMessage) -> None:
        if self._draining.is_set() or len(self._waiting) >= self._policy.capacity:
            _log.error("mail of kind %s was dropped: the queue is full or closed", message.kind)
            return
        self._waiting.append(message)
        if len(self._senders) < self._policy.senders:
            sender = asyncio.create_task(self._send_waiting())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def drain(self, *, within: timedelta) -> None:
        """Send what waits, without pauses between tries; give up and say so when *within* is over."""
        self._draining.set()
        senders = set(self._senders)
        if not senders:
            return
        _, late = await asyncio.wait(senders, timeout=within.total_seconds())
        for sender in late:
            sender.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late or self._waiting:
            _log.error("%d mails were not sent before the end", len(late) + len(self._waiting))
            self._waiting.clear()

    async def _send_waiting(self) -> None:
        while self._waiting:
            await self._send_one(self._waiting.popleft())

    async def _send_one(self, message: MailMessage) -> None:
        for tried in range(1, self._policy.tries + 1):
            try:
                return await self._mail.send(message)
            except Exception as error:
                # The class alone: the text of an unknown error may hold the message.
                _log.warning("mail of kind %s, try %d: %s", message.kind, tried, type(error).__name__)
                if _is_final(error):
                    break
            if tried < self._policy.tries:
                await self._pause(self._policy.first_pause * 2 ** (tried - 1))
        _log.error("mail of kind %s could not be sent", message.kind)
        return None

    async def _pause(self, pause: timedelta) -> None:
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._draining.wait()
        except TimeoutError:
            pass


def _is_final(error: Exception) -> bool:
    return isinstance(error, (MailUnavailable, MailNotConfigured)) and error.retry_after is None
