"""Background work: one-off tasks, mails, and periodic jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

from czo_auth.core.errors import Refusal, StorageUnavailable
from czo_auth.core.mail import Mail, MailDraft
from czo_auth.delivery.background_mail import BackgroundMail, Keep
from czo_auth.mails import MailWriter

_LOG = logging.getLogger("czo_auth")


class BackgroundTasks:
    """
    Implements `czo_auth.core.flows.services.Background` on the event loop.

    Args:
        mail: Sends the mails.
        writer: Renders them first.
        keep: Stores mails that no server accepts now.
        last_wait: How long a shutdown waits for running tasks, and as long again for mails.
    """

    def __init__(
        self,
        mail: Mail,
        *,
        writer: MailWriter,
        keep: Keep | None = None,
        last_wait: timedelta = timedelta(seconds=10),
    ) -> None:
        self._mail = BackgroundMail(mail, keep=keep)
        self._writer = writer
        self._last_wait = last_wait
        self._tasks: set[asyncio.Task[None]] = set()
        self._repeating: set[asyncio.Task[None]] = set()
        self._finishing: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* beside the requests; a failure is logged and ends nothing else."""
        self._add(asyncio.create_task(_watched(work)))

    def _add(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def post(self, draft: MailDraft) -> None:
        """Render a mail and queue it, unless its kind is turned off."""
        if self._writer.sends(draft.kind):
            self.spawn(self._send(draft))

    async def _send(self, draft: MailDraft) -> None:
        # In a thread: response times must not reveal that a mail is rendered (S24).
        await self._mail.send(await asyncio.to_thread(self._writer.write, draft))

    def repeat(
        self, work: Callable[[], Coroutine[Any, Any, object]], *, every: timedelta, finishes: bool = False
    ) -> None:
        """
        Repeat *work* until the end; a failure is logged, and the next run happens nevertheless.

        Args:
            finishes: Whether a run that is under way at the end is waited for like a task. Without, it is canceled.
        """
        if finishes:
            self._finishing.add(asyncio.create_task(_repeat_until(self._ending, work, every)))
        else:
            self._repeating.add(asyncio.create_task(_repeat(work, every)))

    async def finish(self) -> None:
        """Stop repeating, finish running tasks if there is time, and send queued mails."""
        self._ending.set()
        for task in self._repeating:
            task.cancel()
        await asyncio.gather(*self._repeating, return_exceptions=True)
        self._repeating.clear()
        for task in self._finishing:
            self._add(task)
        self._finishing.clear()
        await self._finish_tasks()
        self._ending.clear()
        await self._mail.drain(within=self._last_wait)
        # A mail that was posted meanwhile is stored for later; that must not happen on a database that is being closed.
        await self._finish_tasks()

    async def _finish_tasks(self) -> None:
        """Wait for the tasks and for those that they begin; cancel what is late."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._last_wait.total_seconds()
        while self._tasks and loop.time() < ends_at:
            await asyncio.wait(self._tasks, timeout=ends_at - loop.time())
        late = set(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def _watched(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except StorageUnavailable:
        _LOG.warning("the database does not answer; work beside the requests was left undone")
    except Refusal as refusal:
        # For example, backup codes to hash ahead while many others are queued; they are hashed when they are needed.
        _LOG.warning("work beside the requests was left undone: %s", refusal.code)
    except Exception as error:
        _LOG.error("work beside the requests failed", exc_info=error)


async def _repeat(work: Callable[[], Coroutine[Any, Any, object]], every: timedelta) -> None:
    while True:
        await asyncio.sleep(every.total_seconds())
        await _watched(work())


async def _repeat_until(
    ending: asyncio.Event, work: Callable[[], Coroutine[Any, Any, object]], every: timedelta
) -> None:
    while not ending.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), every.total_seconds())
            return
        await _watched(work())
