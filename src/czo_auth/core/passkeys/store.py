"""The port through which passkeys are stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.passkeys.passkey import Passkey


class Passkeys(Protocol):
    """Passkeys, and the marks of ceremonies that were answered."""

    def add(self, passkey: Passkey) -> bool:
        """Store a passkey; False if its credential id is already registered. One atomic statement."""

    def find(self, user_id: str, passkey_id: str) -> Passkey | None:
        """Read one of a user's passkeys."""

    def find_by_credential(self, credential_id: str) -> Passkey | None:
        """Read a passkey by its credential id, regardless of its owner."""

    def list(self, user_id: str) -> Sequence[Passkey]:
        """Read a user's passkeys, newest first."""

    def count(self, user_id: str) -> int:
        """Count a user's passkeys."""

    def rename(self, user_id: str, passkey_id: str, *, name: str) -> bool:
        """Name a passkey; False when the user has none with this id."""

    def record_use(
        self, passkey_id: str, *, sign_count: int, backup_eligible: bool, backed_up: bool, now: datetime
    ) -> bool:
        """
        Record a use with its counter.

        One atomic statement that does nothing unless *sign_count* is above the stored one, or both are 0: of two
        concurrent calls with the same counter one gets True.

        Returns:
            Whether the passkey is still there and the counter is acceptable.
        """

    def delete(self, user_id: str, passkey_id: str) -> bool:
        """Delete one of a user's passkeys; False when there is none with this id. One atomic statement."""

    def delete_all(self, user_id: str) -> Sequence[Passkey]:
        """Delete all of a user's passkeys, and return them."""

    def count_by_rp_id(self) -> dict[str, int]:
        """Count the passkeys of all users by the relying party id that they were made for."""

    def consume_ceremony(self, digest: str, *, network: str, expires_at: datetime) -> bool:
        """Mark a ceremony as answered. One atomic statement: of concurrent answers one gets True."""

    def count_answered(self, network: str, *, now: datetime) -> int:
        """
        Count the marks of a network whose ceremonies would not have expired yet.

        Until the transaction ends, no other one counts that network's.
        """

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete marks of ceremonies that expired before *before*.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """
