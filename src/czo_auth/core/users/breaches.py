"""The port to lists of leaked passwords that are too large to bundle (S24)."""

from __future__ import annotations

from typing import Protocol


class Breaches(Protocol):
    """Looks up passwords that were seen in breaches."""

    async def knows(self, password: str) -> bool:
        """
        Return whether *password* is known to have leaked.

        Promise: the password does not leave this process, and an outage returns False rather than locking people out.
        """
