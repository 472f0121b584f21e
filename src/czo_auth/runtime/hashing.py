"""The bounded pool for hashing: passwords first, then backup codes (S5, S25)."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from czo_auth.core.errors import RateLimited
from czo_auth.core.two_factor.factor import HashedCode
from czo_auth.crypto import codes, jwt, passwords
from czo_auth.crypto.codes import BackupCode
from czo_auth.crypto.passwords import PasswordMatch
from czo_auth.runtime.dummy_hashes import UniformVerifier

T = TypeVar("T")
_NICENESS = 5
"""Of threads that hash while somebody waits: on a full machine the event loop goes first, for all wait for it."""
_BACKGROUND_NICENESS = 10


class HashingPool:
    """
    Hashes in threads; Argon2 and bcrypt release the interpreter's lock.

    Args:
        threads: How many hashes run at once; by default one per core.
        queue: How many may wait; the next is refused, so that a flood costs latency but not availability.
    """

    def __init__(self, *, threads: int | None, queue: int) -> None:
        self._count = count = threads or _cores()
        self._front = ThreadPoolExecutor(
            count, thread_name_prefix="czo-auth-hash", initializer=_prepare_in_front
        )
        self._behind = ThreadPoolExecutor(
            1, thread_name_prefix="czo-auth-codes", initializer=partial(_step_back, _BACKGROUND_NICENESS)
        )
        self._max_pending = count + queue
        self._pending = 0
        self._codes_pending = 0
        self._verifier = UniformVerifier()

    @property
    def is_idle(self) -> bool:
        return self._pending == 0

    async def hash_password(self, password: str) -> str:
        """Hash a password that was accepted."""
        return await self._run(lambda: passwords.hash_password(password))

    async def verify_password(self, stored: str | None, password: str) -> PasswordMatch:
        """Verify a password; with None the same work is done against a hash that nobody knows (S24)."""
        return await self._run(lambda: self._verifier.verify(stored, password))

    def register(self, stored: str) -> None:
        """Register a kind of hash that users have, before somebody signs in with one."""
        self._verifier.register(stored)

    async def hash_codes(
        self, fresh: Sequence[BackupCode], *, until_awaited: asyncio.Event | None = None
    ) -> list[HashedCode]:
        """
        Hash backup codes: one after the other on a thread of low priority, or at once when somebody waits for them.
        """
        hashes: dict[str, str] = {}
        left = list(fresh)
        if until_awaited is not None:
            await self._hash_behind(left, hashes, until_awaited)
        if left:
            self._refuse_if_full()
            # As many at a time as there are threads, so that a sign-in waits for one of them and not for all.
            await asyncio.gather(*(self._hash_in_front(left, hashes) for _ in range(self._count)))
        return [HashedCode(selector=code.selector, hash=hashes[code.selector]) for code in fresh]

    async def _hash_behind(
        self, left: list[BackupCode], hashes: dict[str, str], awaited: asyncio.Event
    ) -> None:
        """Take codes off *left* until there are none, or somebody waits for them."""
        if self._codes_pending + len(left) > self._max_pending:
            raise RateLimited("Too many enrollments at once. Try again shortly.", retry_after=2)
        added = len(left)
        self._codes_pending += added
        waiting = asyncio.create_task(awaited.wait())
        try:
            while left and not awaited.is_set():
                work = self._behind.submit(codes.hash_code, left[0])
                hashing = asyncio.wrap_future(work)
                await asyncio.wait((hashing, waiting), return_when=asyncio.FIRST_COMPLETED)
                # It may be queued behind the codes of many others.
                if awaited.is_set() and work.cancel():
                    return
                code = left.pop(0)
                hashes[code.selector] = await hashing
        finally:
            self._codes_pending -= added
            waiting.cancel()

    async def _hash_in_front(self, left: list[BackupCode], hashes: dict[str, str]) -> None:
        while left:
            code = left.pop(0)
            hashes[code.selector] = await self._in_front(partial(codes.hash_code, code))

    async def verify_code(self, stored: str | None, code: BackupCode) -> bool:
        """Verify a backup code with exactly one bcrypt; with None against a hash that nobody knows."""
        return await self._run(lambda: codes.verify_code(stored, code))

    async def _run(self, work: Callable[[], T]) -> T:
        self._refuse_if_full()
        return await self._in_front(work)

    def _refuse_if_full(self) -> None:
        if self._pending >= self._max_pending:
            raise RateLimited("Too many sign-ins at once. Try again shortly.", retry_after=2)

    async def _in_front(self, work: Callable[[], T]) -> T:
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._front, work)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Stop the threads; work that waits is dropped."""
        self._front.shutdown(wait=False, cancel_futures=True)
        self._behind.shutdown(wait=False, cancel_futures=True)


def _cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _prepare_in_front() -> None:
    _step_back(_NICENESS)
    # A password that is verified is followed by a token.
    jwt.prepare_to_sign()


def _step_back(niceness: int) -> None:
    """Lower this thread's priority by *niceness* on Linux; elsewhere the id of a thread may be that of a process."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)
