"""Mail in the background, so that the response time does not reveal whether a mail was sent (S24)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from czo_auth.core.mail import Mail, MailMessage, is_final

_log = logging.getLogger("czo_auth.mail")
Keep = Callable[[MailMessage], Awaitable[bool]]
"""Stores a message for later; returns False when there is no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundMailPolicy:
    """
    Attributes:
        capacity: Messages that may wait; beyond it they are dropped.
        senders: Messages that are sent at the same time.
        tries: How often sending is tried.
        first_pause: After the first failure; doubled each time.
    """

    capacity: int = 1000
    senders: int = 4
    tries: int = 4
    first_pause: timedelta = timedelta(seconds=2)


class BackgroundMail:
    """
    A ``Mail`` that takes every message at once, and sends it in the background through another.

    It never refuses: a refusal would come only for addresses that exist. Messages that no server accepts now, and
    those left when the process ends, are stored for later. A message that a server refuses, or that cannot be stored,
    is logged by its kind, without address and token. Until then messages live in memory: a process that is killed
    loses those of its last seconds.

    Args:
        keep: Stores a message for later attempts; without it, the message is dropped.
    """

    def __init__(
        self, mail: Mail, *, keep: Keep | None = None, policy: BackgroundMailPolicy | None = None
    ) -> None:
        self._mail = mail
        self._keep = keep
        self._policy = policy or BackgroundMailPolicy()
        self._waiting: deque[MailMessage] = deque()
        self._on_their_way: list[MailMessage] = []
        self._senders: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()

    async def send(self, message: MailMessage) -> None:
        if self._draining.is_set() or len(self._waiting) >= self._policy.capacity:
            if not await self._try_to_keep(message):
                _log.error("mail of kind %s was dropped: the queue is full or closed", message.kind)
            return
        self._waiting.append(message)
        if len(self._senders) < self._policy.senders:
            sender = asyncio.create_task(self._send_waiting())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def drain(self, *, within: timedelta) -> None:
        """
        Send the waiting messages, without pauses between tries. Store what is left after *within*, or log that it was
        lost.
        """
        self._draining.set()
        senders = set(self._senders)
        if not senders:
            return
        _, late = await asyncio.wait(senders, timeout=within.total_seconds())
        for sender in late:
            sender.cancel()
        left = [*self._on_their_way, *self._waiting]
        await asyncio.gather(*late, return_exceptions=True)
        self._waiting.clear()
        lost = [message for message in left if not await self._try_to_keep(message)]
        if lost:
            _log.error("%d mails were not sent before the end", len(lost))

    async def _send_waiting(self) -> None:
        while self._waiting:
            message = self._waiting.popleft()
            self._on_their_way.append(message)
            try:
                await self._send_one(message)
            finally:
                self._on_their_way.remove(message)

    async def _send_one(self, message: MailMessage) -> None:
        for tried in range(1, self._policy.tries + 1):
            try:
                return await self._mail.send(message)
            except Exception as error:
                # The class alone: the text of an unknown error may hold the message.
                _log.warning("mail of kind %s, try %d: %s", message.kind, tried, type(error).__name__)
                if is_final(error):
                    break
            if tried < self._policy.tries:
                await self._pause(self._policy.first_pause * 2 ** (tried - 1))
        else:
            if await self._try_to_keep(message):
                return None
        _log.error("mail of kind %s could not be sent", message.kind)
        return None

    async def _try_to_keep(self, message: MailMessage) -> bool:
        if self._keep is None:
            return False
        try:
            kept = await self._keep(message)
        except Exception as error:
            _log.warning("mail of kind %s cannot be kept: %s", message.kind, type(error).__name__)
            return False
        if kept:
            _log.warning("mail of kind %s is kept, and offered again later", message.kind)
        return kept

    async def _pause(self, pause: timedelta) -> None:
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._draining.wait()
        except TimeoutError:
            pass
