"""Stored second factors: the factor, a pending enrollment, a challenge, a backup code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

TOTP_SECRET = "totp-secret"  # noqa: S105 - the name of a purpose, not a password
PENDING_CODES = "pending-backup-codes"
"""Purposes under which values are sealed (S12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpFactor:
    """
    The active authenticator of a user.

    Attributes:
        id: The enrollment it came from; the sealed secret is bound to it.
        last_step: The last step that was spent; only later ones are accepted (S2).
        renew_by: The deadline for enrolling again, of an imported secret under 128 bits; None for other secrets.
    """

    id: str
    user_id: str
    sealed_secret: str
    last_step: int
    enabled_at: datetime
    renew_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalCounts:
    """
    How many imported secrets under 128 bits remain. Those of banned users are not counted.

    Attributes:
        overdue: Those whose term is over: their owners can do nothing but enroll again.
        waiting: Those that are accepted until their term ends.
        next_at: When the first of those terms ends; None if there is none.
    """

    overdue: int = 0
    waiting: int = 0
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """
    A secret that was shown and not yet confirmed (S6).

    Attributes:
        lineage_id: The lineage of the session that began it; for other sessions it does not exist.
        sealed_codes: The backup codes, sealed, until they are hashed; then None.
    """

    id: str
    user_id: str
    lineage_id: str | None
    sealed_secret: str
    sealed_codes: str | None
    replaces: bool
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """
    A sign-in between password and second factor (S3).

    Attributes:
        renews: The session that it replaces, where someone who was signed in switched the actor type.
    """

    id: str
    user_id: str
    actor_type: str
    credential_version: int
    attempts: int
    remembered: bool
    renews: str | None
    auth_time: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedCode:
    """One backup code as it is stored: the selector in clear, the rest hashed with bcrypt (S5)."""

    selector: str
    hash: str

    def __repr__(self) -> str:
        return "HashedCode(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCode:
    """A backup code that was found by its selector and is not used yet."""

    id: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedDevice:
    """A browser that may skip the second step (S10)."""

    id: str
    user_id: str
    credential_version: int
    user_agent: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
