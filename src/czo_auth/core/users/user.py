"""A user as the database holds one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """
    Attributes:
        email: Canonical form; unique.
        password_hash: PHC string, or None for a user who has no password yet. Never shown (hidden from ``repr``).
        actor_types: The hats held, the default one included.
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

    def __repr__(self) -> str:
        return f"User(id={self.id!r})"
