"""Hashing the backup codes of an enrollment ahead of time, because ten bcrypt hashes take a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from czo_auth.core.errors import SecretUnreadable
from czo_auth.core.flows.services import Services
from czo_auth.core.two_factor.factor import PENDING_CODES, Enrollment, HashedCode
from czo_auth.crypto import codes
from czo_auth.crypto.codes import BackupCode
from czo_auth.crypto.sealing import OpenError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hashing:
    """The hashing of one user's codes in this process."""

    enrollment_id: str
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[object] | None
    awaited: asyncio.Event
    over: asyncio.Event


class HashAhead:
    """Hashes the codes of each user's latest enrollment in the background, and waits for them at the confirmation."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ahead: dict[str, _Hashing] = {}

    async def begin(self, enrollment_id: str, user_id: str, new_codes: Sequence[BackupCode]) -> None:
        """Hash codes before they are needed. A later enrollment stops this: repeating it costs one set, not many."""
        loop = asyncio.get_running_loop()
        before = self._ahead.get(user_id)
        if before is not None and before.loop is loop and before.task is not None:
            before.task.cancel()
        mine = self._ahead[user_id] = _Hashing(
            enrollment_id=enrollment_id,
            loop=loop,
            task=asyncio.current_task(),
            awaited=asyncio.Event(),
            over=asyncio.Event(),
        )
        try:
            hashed = await self._services.hashing.hash_codes(new_codes, until_awaited=mine.awaited)
            await self._services.transactions.run(
                lambda tx: tx.two_factor.put_pending_codes(enrollment_id, user_id, hashed)
            )
        finally:
            if self._ahead.get(user_id) is mine:
                del self._ahead[user_id]
            mine.over.set()

    async def finish(self, enrollment: Enrollment) -> list[HashedCode] | None:
        """Hash the codes of an enrollment whose hashing was cut off, or runs elsewhere; None when it is done."""
        if await self._is_hashed_ahead(enrollment):
            return None
        if enrollment.sealed_codes is None:
            # They were hashed, and another request confirmed in the meantime.
            return None
        bound_to = {"user": enrollment.user_id, "enrolment": enrollment.id}
        try:
            shown = self._services.key_ring.open(
                enrollment.sealed_codes, purpose=PENDING_CODES, bound_to=bound_to
            )
        except OpenError:
            raise SecretUnreadable from None
        parsed = [code for text in shown.decode().split("\n") if (code := codes.parse(text)) is not None]
        return await self._services.hashing.hash_codes(parsed)

    async def _is_hashed_ahead(self, enrollment: Enrollment) -> bool:
        """Speed up and await the hashing in this process, instead of repeating the work."""
        ahead = self._ahead.get(enrollment.user_id)
        if (
            ahead is None
            or ahead.enrollment_id != enrollment.id
            or ahead.loop is not asyncio.get_running_loop()
        ):
            return False
        ahead.awaited.set()
        await ahead.over.wait()
        return await self._services.transactions.read(
            lambda tx: tx.two_factor.has_pending_codes(enrollment.id)
        )
