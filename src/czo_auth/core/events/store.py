"""The ports of the audit log: recording, reading, and removing personal parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from czo_auth.core.events.types import AuditFilter, AuditRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """
    A deleted user whose personal parts are removed from the audit log and the outbox, in batches.

    Attributes:
        finished_at: None while some parts may be left.
    """

    user_id: str
    erased_at: datetime
    finished_at: datetime | None = None


class AuditRemoval(Protocol):
    """
    Removals from the audit log and the outbox; the chain verifies before and after.

    Each call takes a batch, so that no other write waits long.
    """

    def lock_audit(self) -> None:
        """Lock the audit log for writing until the transaction ends."""

    def cut_audit(self, *, through: int) -> int:
        """Delete the records up to and including *through*; return how many."""

    def remove_addresses(self, *, after: int, before: datetime, limit: int) -> tuple[int, int]:
        """
        Remove address and browser from records beyond the sequence *after* that are older than *before*.

        Returns:
            How many records lost theirs, and the sequence of the last of them (*after* when there was none).
        """

    def begin_erasure(self, user_id: str, *, now: datetime) -> None:
        """Record that a user was deleted. From the commit on, nothing personal about them is recorded."""

    def erase_from_audit(self, user_id: str, *, after: int, limit: int) -> int | None:
        """
        Remove a user's personal parts from records after the sequence *after*: address and browser where they or nobody
        known acted, personal details where they are concerned. Those of others who acted on them stay.

        Returns:
            The sequence to continue after; None at the end.
        """

    def erase_from_events(self, user_id: str, *, after: int, limit: int) -> int | None:
        """Remove a user's personal details from events; as ``erase_from_audit``."""

    def erase_from_dead_letters(self, user_id: str, *, after: int, limit: int) -> int | None:
        """Do the same for dead letters."""

    def finish_erasure(self, user_id: str, *, now: datetime) -> None:
        """Record that nothing personal is left."""

    def list_erasures(self, *, limit: int) -> Sequence[Erasure]:
        """Read the erasures that were begun and not finished, oldest first."""

    def prune_erasures(self, *, before: datetime) -> int:
        """Delete a batch of the erasures that were finished before *before*; return how many."""


class AuditLog(Protocol):
    """
    Events, written in the transaction of the change (S34, S35).

    Promise: what a transaction records becomes visible with its change or not at all, and sequence numbers grow in the
    order of the commits, so that a reader that remembers the last number it saw misses nothing.
    """

    def audit_after(self, sequence: int, *, limit: int) -> Sequence[AuditRecord]:
        """Read audit records beyond *sequence*, oldest first."""

    def audit_before(
        self, sequence: int | None, matching: AuditFilter, *, limit: int
    ) -> Sequence[AuditRecord]:
        """Read audit records below *sequence* (None: from the end) that match, newest first."""

    def audit_above(self, sequence: int, matching: AuditFilter, *, limit: int) -> Sequence[AuditRecord]:
        """Read the nearest audit records above *sequence* that match, newest first."""

    def count_audit(self, matching: AuditFilter, *, up_to: int | None = None) -> int:
        """Count the audit records that match, at most *up_to*; None counts all, as does a filter that all match."""
