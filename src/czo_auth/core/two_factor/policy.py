"""The limits and lifetimes of second factors."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.throttle import LockSchedule

KEPT_FACTORS_WAIT: Final = timedelta(days=1)
"""
The minimum waiting period for resetting factors that stayed when the address was first proved, because their owner is
uncertain.
"""


def must_renew(renew_by: datetime | None, *, now: datetime) -> bool:
    """
    Return whether the deadline for replacing a secret that is too short has passed.

    Its user may then only enroll again. Their API keys keep working.

    Args:
        renew_by: As ``TotpFactor.renew_by``.

    Source: RFC 4226 section 4, R6: a secret has at least 128 bits.
    """
    return renew_by is not None and renew_by <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoFactorPolicy:
    """
    Attributes:
        issuer: Shown by the authenticator app.
        drift: Steps accepted on either side of the current one. Unit: 30-second steps.
        challenge_lifetime, challenge_attempts: Of a sign-in between password and second factor (S3).
        enrollment_lifetime: Of a secret that was shown and not confirmed (S6).
        proof_lifetime: How long a verified password or second factor counts for a change (S7).
        backup_codes: How many codes a set has.
        locks: What consecutive failures lead to (S4).
        trusted_device_lifetime: How long a trusted device skips the second step, sliding.
        trust_mandatory_devices: Whether users who must have a second factor may trust devices.
        reset_wait: The waiting period of a reset by an administrator; zero resets immediately.

    Source: RFC 6238 section 5.2 (drift), NIST SP 800-63B-4 section 3.2.2 (throttling).
    """

    issuer: str = "czo-auth"
    drift: int = 1
    challenge_lifetime: timedelta = timedelta(minutes=5)
    challenge_attempts: int = 5
    enrollment_lifetime: timedelta = timedelta(minutes=10)
    proof_lifetime: timedelta = timedelta(minutes=10)
    backup_codes: int = 10
    locks: LockSchedule = field(default_factory=LockSchedule)
    trusted_device_lifetime: timedelta = timedelta(days=30)
    trust_mandatory_devices: bool = False
    reset_wait: timedelta = timedelta(0)

    def wait_for(self, *, factors_kept: bool) -> timedelta:
        """
        Return how long an administrator's reset waits.

        Args:
            factors_kept: Whether the factors stayed when a password reset first proved the address of the account.
        """
        return max(self.reset_wait, KEPT_FACTORS_WAIT) if factors_kept else self.reset_wait
