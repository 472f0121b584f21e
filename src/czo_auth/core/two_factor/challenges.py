"""The port for what a sign-in with a second factor stores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.paging import Position
from czo_auth.core.two_factor.factor import Challenge, TrustedDevice


class Challenges(Protocol):
    """Attempts, challenges and trusted devices. `TwoFactor.prune_expired` deletes the expired ones."""

    # attempts
    def reserve_attempt(self, user_id: str, *, now: datetime) -> int | None:
        """
        Count one attempt before it is checked (S4).

        One atomic statement that does nothing while the account is locked or stopped.

        Returns:
            The number of consecutive failures if this attempt fails, or None when locked or stopped.
        """

    def lock_until(self, user_id: str, *, until: datetime | None, stopped: bool) -> None:
        """Lock or stop the account's second factors."""

    def find_lock(self, user_id: str) -> tuple[datetime | None, bool]:
        """Read until when the account is locked, and whether it is stopped."""

    def count_locks(self, *, now: datetime) -> tuple[int, int]:
        """Count the accounts that are locked for a time, and those that are stopped until somebody acts."""

    def clear_attempts(self, user_id: str) -> None:
        """Forget all failures, the lock and the stop."""

    def clear_stop(self, user_id: str) -> bool:
        """Forget the failures if the account was stopped; a timed lock stays."""

    # challenges
    def add_challenge(self, challenge: Challenge, *, digest: str, now: datetime) -> None:
        """Store a new challenge."""

    def drop_surplus_challenges(self, user_id: str, *, limit: int) -> None:
        """Delete a user's challenges except the newest *limit*, a batch at a time."""

    def find_challenge(self, digest: str, *, now: datetime) -> Challenge | None:
        """Read a live challenge without counting an attempt."""

    def claim_challenge(self, digest: str, *, now: datetime, max_attempts: int) -> Challenge | None:
        """
        Count an attempt on a live challenge, up to ``max_attempts + 1``.

        One atomic statement. The caller compares ``attempts`` with *max_attempts*: the first attempt beyond it is
        returned once; later ones return None, as do unknown, used and expired challenges.
        """

    def consume_challenge(self, challenge_id: str, *, now: datetime) -> bool:
        """Consume a challenge. One atomic statement: two concurrent calls never both get True."""

    def lock_challenges(self, user_id: str) -> None:
        """
        Lock all challenges of a user whose row is locked, so that none can be added.

        A transaction that clears the failures and then ends the challenges begins with it.
        """

    def drop_challenges(self, user_id: str) -> None:
        """Delete all challenges of a user."""

    # trusted devices
    def add_trusted_device(self, device: TrustedDevice, *, digest: str) -> None:
        """Store a trusted device."""

    def drop_surplus_devices(self, user_id: str, *, limit: int) -> None:
        """Delete a user's least recently used devices beyond *limit*."""

    def find_trusted_device(self, digest: str, *, now: datetime) -> TrustedDevice | None:
        """Read a live trusted device by the digest of its token."""

    def rotate_trusted_device(self, device: TrustedDevice, *, old_digest: str, new_digest: str) -> bool:
        """Replace the token of a device if it is still the old one. One atomic statement."""

    def list_trusted_devices(
        self, user_id: str, *, after: Position | None = None, limit: int, now: datetime
    ) -> Sequence[TrustedDevice]:
        """Read the live trusted devices of a user, newest first."""

    def count_trusted_devices(self, user_id: str, *, now: datetime) -> int:
        """Count the live trusted devices of a user."""

    def drop_trusted_device(self, user_id: str, device_id: str) -> bool:
        """Delete one device of a user; False if there is none."""

    def drop_trusted_devices(self, user_id: str) -> int:
        """Delete all devices of a user, and return how many there were."""
