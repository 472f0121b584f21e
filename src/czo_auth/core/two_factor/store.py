"""The port for storing second factors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.paging import Position
from czo_auth.core.two_factor.factor import (
    Challenge,
    Enrollment,
    HashedCode,
    RenewalCounts,
    StoredCode,
    TotpFactor,
    TrustedDevice,
)


class TwoFactor(Protocol):
    """Factors, enrollments, challenges, attempts, backup codes and trusted devices."""

    # factors
    def find_factor(self, user_id: str) -> TotpFactor | None:
        """Read the active factor."""

    def put_factor(self, factor: TotpFactor) -> None:
        """Make *factor* the user's only one."""

    def drop_factor(self, user_id: str) -> bool:
        """Remove the authenticator app; False when there was none. Backup codes stay."""

    def consume_step(self, factor_id: str, *, step: int) -> bool:
        """
        Spend *step*: remember it if it is later than the last one.

        One atomic statement: two concurrent calls with the same step never both get True (S2).
        """

    def reencrypt_factor(self, factor_id: str, *, old: str, new: str) -> bool:
        """Replace a sealed secret if it is still *old* (S14)."""

    def sealed_after(self, factor_id: str, *, limit: int) -> Sequence[TotpFactor]:
        """Read factors by id beyond *factor_id*, to re-encrypt them in batches."""

    def list_renewals(
        self, *, now: datetime, until: datetime, limit: int, after: str | None = None
    ) -> Sequence[TotpFactor]:
        """Read factors by id beyond *after* whose term ends after *now* and by *until*."""

    def count_renewals(self, *, now: datetime) -> RenewalCounts:
        """Count the factors that have a term, by whether it is over."""

    def mark_renewal_reminded(self, factor_id: str, *, days: int) -> bool:
        """
        Remember that the owner was told *days* ahead of the end of the term.

        One atomic statement: of several that tell at once, one gets True.
        """

    # enrollments
    def put_enrollment(self, enrollment: Enrollment) -> None:
        """Store an enrollment; it replaces an earlier pending one of the user."""

    def find_enrollment(self, user_id: str, *, lineage_id: str | None, now: datetime) -> Enrollment | None:
        """Read the pending enrollment of a session's lineage, unless it expired; None for every other lineage."""

    def has_enrollment(self, user_id: str, *, now: datetime) -> bool:
        """Whether an enrollment is pending, of whichever session: for those who look after the user."""

    def take_enrollment(self, enrollment_id: str) -> bool:
        """Remove a pending enrollment. One atomic statement: of two concurrent confirmations one gets True."""

    def enrollments_after(self, enrollment_id: str, *, limit: int) -> Sequence[Enrollment]:
        """Read enrollments by id beyond *enrollment_id*, expired ones too, to re-encrypt them in batches."""

    def reencrypt_enrollment(self, old: Enrollment, *, sealed_secret: str, sealed_codes: str | None) -> bool:
        """Replace what is sealed in an enrollment if both are still as in *old* (S14)."""

    def drop_enrollment(self, user_id: str) -> None:
        """Delete a pending enrollment and its codes."""

    def put_pending_codes(self, enrollment_id: str, user_id: str, codes: Sequence[HashedCode]) -> bool:
        """Keep the hashed codes of an enrollment that is still pending and forget the sealed ones; False otherwise."""

    def has_pending_codes(self, enrollment_id: str) -> bool:
        """Return whether the codes of an enrollment are hashed already."""

    # backup codes
    def put_codes(self, user_id: str, *, set_id: str, codes: Sequence[HashedCode], now: datetime) -> None:
        """Make *codes* the user's only live set."""

    def activate_pending_codes(self, user_id: str, *, set_id: str, now: datetime) -> None:
        """Make the codes of the enrollment *set_id* the user's only live set."""

    def selectors(self, user_id: str) -> Collection[str]:
        """Read all selectors in use by the user, used codes included."""

    def find_code(self, user_id: str, selector: str) -> StoredCode | None:
        """Read a live, unused code by its selector."""

    def consume_code(self, code_id: str, *, now: datetime) -> bool:
        """Use a code. One atomic statement: two concurrent calls never both get True (S5)."""

    def drop_codes(self, user_id: str) -> None:
        """Remove all unused backup codes."""

    def count_codes(self, user_id: str) -> int:
        """Count the live, unused codes."""

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
        """Delete a user's challenges but the newest *limit*, some at a time."""

    def find_challenge(self, digest: str, *, now: datetime) -> Challenge | None:
        """Read a live challenge without counting an attempt."""

    def claim_challenge(self, digest: str, *, now: datetime, max_attempts: int) -> Challenge | None:
        """
        Count an attempt on a live challenge, up to ``max_attempts + 1``.

        One atomic statement. The caller compares ``attempts`` with *max_attempts*: the first attempt beyond it is
        returned once; later ones return None, as do unknown, used and expired challenges.
        """

    def consume_challenge(self, challenge_id: str, *, now: datetime) -> bool:
        """Use a challenge up. One atomic statement: two concurrent calls never both get True."""

    def drop_challenges(self, user_id: str) -> None:
        """Delete all challenges of a user."""

    # trusted devices
    def add_trusted_device(self, device: TrustedDevice, *, digest: str) -> None:
        """Store a trusted device."""

    def drop_surplus_devices(self, user_id: str, *, limit: int) -> None:
        """Forget the devices of a user that were used longest ago, until *limit* are left."""

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

    def drop_trusted_devices(self, user_id: str) -> None:
        """Delete all devices of a user."""

    def count_by_kid(self) -> dict[str, int]:
        """Count sealed rows (factors, enrollments, signing keys) by the id of the key that sealed them (S14)."""

    def count_sealed(self) -> dict[str, dict[str, int]]:
        """Count the same by key id, and then by kind: ``factors``, ``enrollments``, ``signing_keys``."""

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete challenges, enrollments and trusted devices that expired before *before*.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """
