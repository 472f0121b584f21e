"""Replacements for threads and the mail server in a deployment under test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from czo_auth.core.mail import MailDraft, MailMessage
from czo_auth.core.two_factor.factor import HashedCode
from czo_auth.crypto import codes, insecure, passwords
from czo_auth.crypto.codes import BackupCode
from czo_auth.crypto.passwords import PasswordMatch
from czo_auth.mails import MailWriter


class InsecureHashing:
    """Implements `czo_auth.core.hashing.Hashing` at almost no cost, in the caller's thread. Protects nobody."""

    is_idle = True

    async def hash_password(self, password: str) -> str:
        return insecure.weak_password_hash(password)

    async def verify_password(self, stored: str | None, password: str) -> PasswordMatch:
        matches = stored is not None and passwords.verify_password(stored, password).matches
        return PasswordMatch(matches=matches, needs_rehash=False)

    async def hash_codes(
        self, codes: Sequence[BackupCode], *, until_awaited: asyncio.Event | None = None
    ) -> list[HashedCode]:
        return [HashedCode(selector=code.selector, hash=insecure.weak_code_hash(code)) for code in codes]

    async def verify_code(self, stored: str | None, code: BackupCode) -> bool:
        return stored is not None and codes.verify_code(stored, code)

    def register(self, stored: str) -> None:
        """Do nothing: response times are not made equal in tests."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


class CapturedMails:
    """Implements background work: mails are stored, one-off work runs, and nothing is repeated."""

    def __init__(self, writer: MailWriter) -> None:
        self._writer = writer
        self.mails: list[MailMessage] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def post(self, draft: MailDraft) -> None:
        if self._writer.sends(draft.kind):
            self.mails.append(self._writer.write(draft))

    def repeat(
        self, work: Callable[[], Coroutine[Any, Any, object]], *, every: timedelta, finishes: bool = False
    ) -> None:
        """Do nothing: a test calls what is due itself."""

    async def finish(self) -> None:
        # The event loop of the test may be closed; its tasks ended with it.
        self._tasks.clear()
