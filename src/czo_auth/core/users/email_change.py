"""A change of address: requested, confirmed by a link to the new address, and reverted by one to the old (S43)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChange:
    """
    A change of address. It is pending until it is confirmed or closed.

    Attributes:
        new_email, new_mailbox: Empty when the address was somebody else's, or was forgotten before it was confirmed.
        old_mailbox, new_mailbox: The addresses as they were typed, which mail goes to.
        lineage_id: The lineage of the session that requested it, which the change does not end.
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
        """Store a pending change. Call it with the user locked, after closing the previous one."""

    def find_by_token(self, digest: str) -> EmailChange | None:
        """Read a change by the link that confirms it, in any state."""

    def confirm(self, digest: str, *, revert_until: datetime, now: datetime) -> EmailChange | None:
        """Confirm a pending change. One atomic statement: it is confirmed once."""

    def reject(self, digest: str, *, now: datetime) -> EmailChange | None:
        """
        End a change that waits, by the link that would confirm it. One atomic statement: it works once.

        Its link to the old address keeps working.
        """

    def take_back(self, revert_digest: str, *, now: datetime) -> EmailChange | None:
        """
        Close a change by the link that takes it back, while that link is valid. One atomic statement: it works once.
        """

    def find_by_revert_token(self, revert_digest: str, *, now: datetime) -> EmailChange | None:
        """Read a change that can be taken back."""

    def close(self, change_id: str, *, now: datetime) -> bool:
        """Close one change; False if it was already closed."""

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
        Whether *email* was given up recently and can still be taken back: until then nobody else can have it.

        Args:
            but_for: The user who may have it.
        """

    def list_of(self, user_id: str) -> Sequence[EmailChange]:
        """Read a user's stored changes, newest first."""

    def prune_expired(self, *, before: datetime) -> int:
        """Delete a batch of the changes that could be taken back until *before*; return how many."""
