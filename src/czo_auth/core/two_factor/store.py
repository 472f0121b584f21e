"""The port for storing second factors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.two_factor.factor import (
    Enrollment,
    HashedCode,
    RenewalCounts,
    StoredCode,
    TotpFactor,
)


class TwoFactor(Protocol):
    """Authenticator apps, their enrollments and backup codes."""

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
        Record that the owner was reminded *days* ahead of the end of the term.

        One atomic statement: of several concurrent calls, one gets True.
        """

    # enrollments
    def put_enrollment(self, enrollment: Enrollment) -> None:
        """Store an enrollment; it replaces an earlier pending one of the user."""

    def find_enrollment(self, user_id: str, *, lineage_id: str | None, now: datetime) -> Enrollment | None:
        """Read the pending enrollment of a session's lineage, unless it expired; None for every other lineage."""

    def has_enrollment(self, user_id: str, *, now: datetime) -> bool:
        """Whether an enrollment of any session is pending; for administrators and operators."""

    def take_enrollment(self, enrollment_id: str) -> bool:
        """Remove a pending enrollment. One atomic statement: of two concurrent confirmations one gets True."""

    def enrollments_after(self, enrollment_id: str, *, limit: int) -> Sequence[Enrollment]:
        """Read enrollments by id beyond *enrollment_id*, expired ones too, to re-encrypt them in batches."""

    def reencrypt_enrollment(self, old: Enrollment, *, sealed_secret: str, sealed_codes: str | None) -> bool:
        """Replace what is sealed in an enrollment if both are still as in *old* (S14)."""

    def drop_enrollment(self, user_id: str) -> None:
        """Delete a pending enrollment and its codes."""

    def put_pending_codes(self, enrollment_id: str, user_id: str, codes: Sequence[HashedCode]) -> bool:
        """Store the hashed codes of an enrollment and delete the sealed ones; False if it is no longer pending."""

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
        """Spend a code. One atomic statement: two concurrent calls never both get True (S5)."""

    def drop_codes(self, user_id: str) -> None:
        """Remove all unused backup codes."""

    def count_codes(self, user_id: str) -> int:
        """Count the live, unused codes."""

    # upkeep
    def count_by_kid(self) -> dict[str, int]:
        """Count sealed rows (factors, enrollments, signing keys) by the id of the key that sealed them (S14)."""

    def count_sealed(self) -> dict[str, dict[str, int]]:
        """Count the same by key id, and then by kind: ``factors``, ``enrollments``, ``signing_keys``."""

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete challenges, enrollments and trusted devices that expired before *before*.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """
