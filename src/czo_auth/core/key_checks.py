"""The port for storing check values of encryption keys (S11)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class KeyChecks(Protocol):
    """A value for each key id that only the right key reproduces, so that a wrong key is detected at the start."""

    def find_all(self) -> dict[str, str]:
        """Read the check values by key id."""

    def add(self, kid: str, check_value: str, *, now: datetime) -> bool:
        """
        Store the check value of a new key id; False if there is one already, which stays.

        One atomic statement: of several processes that start together, one wins, and the others compare with it.
        """

    def remove(self, kid: str) -> None:
        """Delete the check value of a key id that no longer seals anything."""
