"""The bounded pools that hash: passwords in front, backup codes behind (S5, S25)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from czo_auth.core.errors import RateLimited
from czo_auth.core.two_factor.factor import HashedCode
from czo_auth.crypto import codes, passwords
from czo_auth.crypto.codes import BackupCode
from czo_auth.crypto.passwords import PasswordMatch

T = TypeVar("T")
_BACKGROUND_NICENESS = 10


class HashingPool:
    """
    Hashes in threads; Argon2 and bcrypt release the interpreter's lock.

    Args:
        threads: At most so many hashes run at once; by default one a core.
        queue: So many may wait; the next is refused, so that a flood costs latency and not the service.
    """

    def __init__(self, *, threads: int | None, queue: int) -> None:
        count = (
            threads or len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
        self._front = ThreadPoolExecutor(count, thread_name_prefix="czo-auth-hash")
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="czo-auth-codes", initializer=_step_back)
        self._most = count + queue
        self._pending = 0

    async def hash_password(self, password: str) -> str:
        """Hash a password that was accepted."""
        return await self._run(lambda: passwords.hash_password(password))

    async def verify_password(self, stored: str | None, password: str) -> PasswordMatch:
        """Verify a password; with None the same work is done against a hash that nobody knows (S24)."""
        match = await self._run(lambda: passwords.verify_password(stored or passwords.DUMMY_HASH, password))
        return match if stored is not None else PasswordMatch(matches=False, needs_rehash=False)

    async def hash_codes(self, fresh: Sequence[BackupCode]) -> list[HashedCode]:
        """Hash backup codes one after the other, on a thread that yields to all others."""
        loop = asyncio.get_running_loop()
        hashed = []
        for code in fresh:
            text = await loop.run_in_executor(self._behind, codes.hash_code, code)
            hashed.append(HashedCode(selector=code.selector, hash=text))
        return hashed

    async def verify_code(self, stored: str | None, code: BackupCode) -> bool:
        """Verify a backup code with exactly one bcrypt; with None against a hash that nobody knows."""
        return await self._run(lambda: codes.verify_code(stored, code))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._most:
            raise RateLimited("Too many sign-ins at once. Try again shortly.", retry_after=2)
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._front, work)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Stop the threads; work that waits is dropped."""
        self._front.shutdown(wait=False, cancel_futures=True)
        self._behind.shutdown(wait=False, cancel_futures=True)


def _step_back() -> None:
    """Lower this thread's priority, where the system has such a thing for threads (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BACKGROUND_NICENESS)
    except (AttributeError, OSError):
        return
