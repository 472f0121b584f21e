"""A change of address: requested, confirmed by a link to the new address, and reverted by one to the old (S43)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChange:
    """
    A change of address. It waits until it is confirmed or closed.

    Attributes:
        new_email, new_mailbox: Empty when the address was somebody else's, or was forgotten before it was confirmed.
        old_mailbox, new_mailbox: The addresses as they were typed, which mail goes to.
        lineage_id: Of the session that asked, and of its renewals: the one that continues.
        expires_at: Until when it can be confirmed.
        revert_until: Until when it can be taken back.
        replaced_at: When it was replaced or rejected, or its new address was forgotten. It can no longer be confirmed,
            but the link to the old address keeps working.
        closed_at: When it was taken back or canceled. Neither link works.
    """

    id: str
    user_id: str
    lineage_id: str | None
    old_email: str
    old_mailbox: str
    new_email: str
    new_mailbox: str
    asked_at: datetime
    expires_at: datetime
    revert_until: datetime
    confirmed_at: datetime | None = None
    replaced_at: datetime | None = None
    closed_at: datetime | None = None


class EmailChanges(Protocol):
    """Changes of address and the digests of their two links."""

    def add(self, change: EmailChange, *, digest: str, revert_digest: str) -> None:
        """Keep a change that waits. Call it with the user locked, and close the one before first."""

    def find_by_token(self, digest: str) -> EmailChange | None:
        """Read a change by the link that confirms it, whatever became of it."""

    def confirm(self, digest: str, *, revert_until: datetime, now: datetime) -> EmailChange | None:
        """Confirm a change that waits. One atomic statement: it is confirmed once."""

    def reject(self, digest: str, *, now: datetime) -> EmailChange | None:
        """
        End a change that waits, by the link that would confirm it. One atomic statement: it works once.

        Its link to the old address keeps working.
        """

    def take_back(self, revert_digest: str, *, now: datetime) -> EmailChange | None:
        """Close a change by the link that takes it back, while it counts. One atomic statement: it works once."""

    def find_by_revert_token(self, revert_digest: str, *, now: datetime) -> EmailChange | None:
        """Read a change that can be taken back."""

    def close(self, change_id: str, *, now: datetime) -> bool:
        """Close one change; False when it was closed before."""

    def close_waiting(self, user_id: str, *, now: datetime) -> Sequence[EmailChange]:
        """Close the pending changes of a user and return them. Their links to the old address keep working."""

    def close_all(self, user_id: str, *, since: datetime, now: datetime) -> None:
        """Close all changes of a user that were asked for at *since* or later."""

    def forget_address(self, email: str, *, is_proved: bool, now: datetime) -> None:
        """
        Close changes to *email* that were not confirmed, of any user, and empty the address in them.

        Their links to the old address keep working. Changes that were confirmed stay: the address was that user's.

        Args:
            is_proved: Whether who had the address has proved it. Otherwise, changes that can still be confirmed stay.
        """

    def forget_unconfirmed(self, *, before: datetime) -> int:
        """
        Empty the new address in a batch of changes that were not confirmed and can be taken back until *before*.

        Returns:
            How many.
        """

    def is_reserved(self, email: str, *, but_for: str | None, now: datetime) -> bool:
        """
        Whether *email* was given up a short while ago and can be taken back: nobody else gets it in the meantime.

        Args:
            but_for: The user for whom it is free.
        """

    def list_of(self, user_id: str) -> Sequence[EmailChange]:
        """Read the changes of a user that are kept, newest first."""

    def prune_expired(self, *, before: datetime) -> int:
        """Delete a batch of the changes that could be taken back until *before*; answer how many."""
