"""The port for storing check values of encryption keys (S11)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class KeyChecks(Protocol):
    """For each key id a value that only the right key reproduces, so that a wrong key is found at the start."""

    def find_all(self) -> dict[str, str]:
        """Read the check values by key id."""

    def add(self, kid: str, check_value: str, *, now: datetime) -> bool:
        """
        Keep the check value of a new key id; False when there is one already, which then stays.

        One atomic statement: of several processes that start together, one wins, and the others compare with it.
        """

    def remove(self, kid: str) -> None:
        """Forget a key id that seals nothing any more."""
