"""The port for slow work: hashing passwords and backup codes, off the event loop and bounded (S5, S25)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from czo_auth.core.two_factor.factor import HashedCode
from czo_auth.crypto.codes import BackupCode
from czo_auth.crypto.passwords import PasswordMatch


class Hashing(Protocol):
    """
    Hashes in a bounded pool.

    Promise: the event loop never hashes, at most one hash per core runs at a time, and if the queue is full, the call
    raises ``RateLimited`` instead of queueing.
    """

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for a hash: the next one begins at once, and leaves the interpreter to others."""

    async def hash_password(self, password: str) -> str:
        """Hash a password that was accepted."""

    async def verify_password(self, stored: str | None, password: str) -> PasswordMatch:
        """Verify a password; with None, do the same work against a dummy hash (S24)."""

    async def hash_codes(
        self, codes: Sequence[BackupCode], *, until_awaited: asyncio.Event | None = None
    ) -> list[HashedCode]:
        """
        Hash backup codes, in their order.

        Args:
            until_awaited: Nobody is waiting yet: until it is set, hash with lower priority than work that someone waits
                for. The rest is then hashed at once, and nothing twice.
        """

    async def verify_code(self, stored: str | None, code: BackupCode) -> bool:
        """Verify a backup code with exactly one bcrypt; with None, against a dummy hash."""

    def register(self, stored: str) -> None:
        """Register a kind of password hash that users have, so that verifying takes the same time for all (S24)."""

    def close(self) -> None:
        """Stop; queued work is dropped."""
