"""A user as the database holds one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.users.email import find_canonical_email


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """
    Attributes:
        email: Canonical form; unique.
        mailbox: The address as it was typed; None for a user who was made before revision 0007.
        password_hash: PHC string, or None for a user who has no password yet. Never shown (hidden from ``repr``).
        actor_types: The actor types held, the default one included.
        credential_version: Grows whenever password, second factor or ban change; challenges are bound to it (S3).
        has_factor: Whether a second factor is active. A fact about rows, not about their readability (S13).
    """

    id: str
    email: str
    name: str
    image: str | None
    email_verified: bool
    password_hash: str | None
    actor_types: frozenset[str]
    credential_version: int
    has_factor: bool
    banned_at: datetime | None
    created_at: datetime
    updated_at: datetime
    mailbox: str | None = None

    @property
    def mail_address(self) -> str:
        """Where mail goes: the address as it was typed, while it is still the one of *email*."""
        if self.mailbox is None or find_canonical_email(self.mailbox) != self.email:
            return self.email
        return self.mailbox

    def __repr__(self) -> str:
        return f"User(id={self.id!r})"
