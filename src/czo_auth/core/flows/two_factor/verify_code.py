"""
Verifying a second factor: count, check, consume.

Counting is committed before the check, so that parallel guesses share one budget and a refusal cannot roll the count
back (S4). Checking happens outside any transaction. Consuming is part of the transaction that grants access (S2, S5).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    AccountLocked,
    ExpiredCode,
    InvalidBackupCode,
    InvalidChallenge,
    InvalidCode,
    Refusal,
    SecretUnreadable,
    TooManyAttempts,
    TotpNotEnabled,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import CODE_REFUSED, AuditEvent
from czo_auth.core.flows.owner_mails import mail_notice_by_id
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import record_revoked
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.mail import MailKind
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import TOTP_SECRET, Challenge, StoredCode, TotpFactor
from czo_auth.crypto import codes, totp
from czo_auth.crypto.codes import BackupCode
from czo_auth.crypto.sealing import KeyRing, OpenError

_LOG = logging.getLogger("czo_auth.two_factor")
CodeKind = Literal["totp", "backup", "either"]
_MAX_LAG: Final = 20
"""How far behind a phone's clock may be for the error message to say so. Unit: steps."""

WARNED_AFTER: Final = 3
"""Consecutive wrong codes after a correct password before the owner is notified: one or two are typing errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCode:
    """
    A code that was just correct; it counts once `consume_code` accepts it.

    Attributes:
        method: ``otp`` or ``bkp``.
        target: The factor whose step, or the code row, is to be spent.
        step: The step that matched; None for a backup code.
        challenge: The sign-in it belongs to, if any.
    """

    user_id: str
    method: Literal["otp", "bkp"]
    target: str
    step: int | None
    challenge: Challenge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A counted attempt, with the data needed to check it."""

    user_id: str
    failures: int
    factor: TotpFactor | None
    secret: bytes = field(repr=False)
    code: StoredCode | None
    challenge: Challenge | None
    session_id: str | None = None


class VerifyCode:
    """Checks TOTP and backup codes with one attempt budget per account."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def for_challenge(
        self, challenge_digest: str, code: str, kind: CodeKind, *, context: Context
    ) -> VerifiedCode:
        """
        Verify a code at sign-in.

        Raises:
            InvalidChallenge: Unknown, expired, used or outdated.
            TooManyAttempts: The challenge was just exhausted.
            AccountLocked: Too many failures; nothing was counted or spent.
            InvalidCode, InvalidBackupCode: Wrong or spent.
            SecretUnreadable: The sealed secret does not open; nothing was counted.
        """
        given = _SubmittedCode.parse(code, kind)

        def count(tx: Transaction) -> _Attempt | Refusal:
            challenge = claim_challenge(self._services, tx, challenge_digest)
            if isinstance(challenge, Refusal):
                return challenge
            return self._count(tx, challenge.user_id, given, challenge)

        return await self._check(
            await self._services.transactions.run(count, context), given, context=context
        )

    async def for_user(
        self,
        user_id: str,
        code: str,
        kind: CodeKind,
        *,
        session_id: str | None = None,
        context: Context,
    ) -> VerifiedCode:
        """
        Verify a code within a session.

        Args:
            session_id: The session, if no password came with the code: a few consecutive wrong codes end it.

        Raises:
            TotpNotEnabled: There is no active factor.
            AccountLocked, InvalidCode, InvalidBackupCode, SecretUnreadable: As at sign-in.
        """
        given = _SubmittedCode.parse(code, kind)
        attempt = await self._services.transactions.run(
            lambda tx: replace(self._count(tx, user_id, given, None), session_id=session_id), context
        )
        return await self._check(attempt, given, context=context)

    def _count(
        self, tx: Transaction, user_id: str, given: _SubmittedCode, challenge: Challenge | None
    ) -> _Attempt:
        factor = tx.two_factor.find_factor(user_id)
        if factor is None:
            user = tx.users.find(user_id)
            # Users who only have passkeys still have backup codes.
            if given.kind == "totp" or user is None or not user.has_factor:
                raise TotpNotEnabled
        # Open before counting: an unreadable secret is an outage, and must not lock out the backup codes (S13).
        secret = (
            b""
            if given.backup or factor is None
            else open_secret(self._services.key_ring, factor.id, user_id, factor.sealed_secret)
        )
        failures = reserve_attempt(self._services, tx, user_id)
        code = tx.two_factor.find_code(user_id, given.backup.selector) if given.backup else None
        return _Attempt(
            user_id=user_id, failures=failures, factor=factor, secret=secret, code=code, challenge=challenge
        )

    async def _check(
        self, attempt: _Attempt | Refusal, given: _SubmittedCode, *, context: Context
    ) -> VerifiedCode:
        if isinstance(attempt, Refusal):
            raise attempt
        proved = await self._verify(attempt, given, now=context.now)
        if proved is None:
            await record_wrong_code(
                self._services,
                attempt.user_id,
                attempt.failures,
                given.method,
                session_id=attempt.session_id,
                context=context,
            )
            raise self._refusal(attempt, given, now=context.now)
        return proved

    def _refusal(self, attempt: _Attempt, given: _SubmittedCode, *, now: datetime) -> Refusal:
        if given.method == "otp" and attempt.factor is not None:
            return wrong_totp(
                attempt.secret, given.totp, now=now, drift=self._services.policies.two_factor.drift
            )
        return given.refusal()

    async def _verify(
        self, attempt: _Attempt, given: _SubmittedCode, *, now: datetime
    ) -> VerifiedCode | None:
        if given.kind == "backup" or given.backup is not None:
            return await self._verify_backup(attempt, given.backup)
        if attempt.factor is None:
            return None
        step = totp.matching_step(
            attempt.secret,
            given.totp,
            now=now,
            drift=self._services.policies.two_factor.drift,
            after=attempt.factor.last_step,
        )
        if step is None:
            return None
        return VerifiedCode(
            user_id=attempt.user_id,
            method="otp",
            target=attempt.factor.id,
            step=step,
            challenge=attempt.challenge,
        )

    async def _verify_backup(self, attempt: _Attempt, given: BackupCode | None) -> VerifiedCode | None:
        if given is None:
            return None
        stored = attempt.code
        right = await self._services.hashing.verify_code(stored.hash if stored else None, given)
        if stored is None or not right:
            return None
        return VerifiedCode(
            user_id=attempt.user_id, method="bkp", target=stored.id, step=None, challenge=attempt.challenge
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SubmittedCode:
    """The submitted code, parsed once."""

    kind: CodeKind
    totp: str
    backup: BackupCode | None

    @classmethod
    def parse(cls, text: str, kind: CodeKind) -> _SubmittedCode:
        backup = None if kind == "totp" else codes.parse(text)
        return cls(kind=kind, totp=totp.normalize(text), backup=backup)

    @property
    def method(self) -> str:
        return "bkp" if self.kind == "backup" or self.backup is not None else "otp"

    def refusal(self) -> Refusal:
        return InvalidBackupCode() if self.kind == "backup" else InvalidCode()


def _lives(tx: Transaction, session_id: str) -> bool:
    session = tx.sessions.find(session_id)
    return session is not None and session.expires_at > tx.now


def open_secret(key_ring: KeyRing, enrollment_id: str, user_id: str, sealed: str) -> bytes:
    """
    Open a sealed TOTP secret.

    Raises:
        SecretUnreadable: It cannot be decrypted; fails closed and logs an error (S13).
    """
    try:
        return key_ring.open(
            sealed, purpose=TOTP_SECRET, bound_to={"user": user_id, "enrolment": enrollment_id}
        )
    except OpenError:
        _LOG.critical("a sealed TOTP secret does not open: user=%s enrollment=%s", user_id, enrollment_id)
        raise SecretUnreadable from None


def wrong_totp(secret: bytes, code: str, *, now: datetime, drift: int) -> InvalidCode:
    """Refuse a wrong code that was counted as an attempt; say so if the phone's clock is slow."""
    reach = _MAX_LAG // 2
    middle = now - timedelta(seconds=totp.PERIOD) * (drift + 1 + reach)
    return (
        InvalidCode() if totp.matching_step(secret, code, now=middle, drift=reach) is None else ExpiredCode()
    )


def claim_challenge(services: Services, tx: Transaction, digest: str) -> Challenge | Refusal:
    """
    Count one attempt on a challenge before it is checked (S3).

    Returns:
        The challenge, or the refusal to raise once the count is committed: ``InvalidChallenge`` when it is unknown,
        expired, used or outdated, ``TooManyAttempts`` when it was just exhausted.
    """
    max_attempts = services.policies.two_factor.challenge_attempts
    challenge = tx.challenges.claim_challenge(digest, now=tx.now, max_attempts=max_attempts)
    if challenge is None:
        return InvalidChallenge()
    user = tx.users.find(challenge.user_id)
    if user is None or user.banned_at or user.credential_version != challenge.credential_version:
        return InvalidChallenge()
    if challenge.renews is not None and not _lives(tx, challenge.renews):
        return InvalidChallenge()
    return TooManyAttempts() if challenge.attempts > max_attempts else challenge


def reserve_attempt(services: Services, tx: Transaction, user_id: str) -> int:
    """
    Count one attempt on the account before it is checked, and lock the account if the schedule says so.

    Returns:
        The consecutive failures, if this attempt turns out to be one.

    Raises:
        AccountLocked: The account's second factors are locked or stopped.
    """
    failures = tx.challenges.reserve_attempt(user_id, now=tx.now)
    if failures is None:
        until, stopped = tx.challenges.find_lock(user_id)
        if stopped or until is None:
            raise AccountLocked(
                "Two-factor verification is locked. Reset your password or ask an administrator."
            )
        raise AccountLocked(retry_after=max(1, int((until - tx.now).total_seconds() + 0.999)))
    schedule = services.policies.two_factor.locks
    until, stopped = schedule.locked_until(failures, now=tx.now), schedule.stops(failures)
    if until is not None or stopped:
        tx.challenges.lock_until(user_id, until=until, stopped=stopped)
    return failures


async def record_wrong_code(
    services: Services,
    user_id: str,
    failures: int,
    method: str,
    *,
    session_id: str | None = None,
    at_sign_in: bool = True,
    context: Context,
) -> None:
    """
    Record a wrong code in a transaction of its own, and the lock that it led to.

    After a few in a row the session that sent them ends, so that a stolen session cannot keep locking its owner out.

    Args:
        session_id: Of the session in which the code was sent without a password; None where one was proved.
        at_sign_in: Whether a correct password came first; then the owner is warned that someone may know it.
    """
    schedule = services.policies.two_factor.locks

    def record(tx: Transaction) -> tuple[datetime | None, bool] | None:
        tx.record(
            AuditEvent(
                action=CODE_REFUSED, user_id=user_id, outcome="failure", details={"failures": failures}
            )
        )
        until, stopped = tx.challenges.find_lock(user_id)
        locks = failures % schedule.failures_per_lock == 0 and (stopped or until is not None)
        if locks:
            details = {"failures": failures, "stopped": stopped}
            tx.record(AuditEvent(action=types.TWO_FACTOR_LOCKED, user_id=user_id, details=details))
        if session_id is not None:
            _end_session_that_guesses(services, tx, user_id, session_id)
        return (until, stopped) if locks else None

    locked = await services.transactions.run(record, context.by(user_id, method))
    if locked is not None:
        until, stopped = locked
        kind: MailKind = "two_factor_stopped" if stopped or until is None else "two_factor_locked"
        mail_notice_by_id(services, user_id, kind, context=context, until=until or context.now)
    elif at_sign_in and session_id is None and failures == WARNED_AFTER:
        mail_notice_by_id(services, user_id, "wrong_codes", context=context)


def _end_session_that_guesses(services: Services, tx: Transaction, user_id: str, session_id: str) -> None:
    if tx.sessions.count_wrong_code(session_id) < services.policies.sessions.wrong_codes:
        return
    if tx.sessions.revoke(session_id, reason="wrong_codes", now=tx.now):
        record_revoked(tx, user_id, session_id, reason="wrong_codes")


def consume_code(tx: Transaction, proved: VerifiedCode) -> None:
    """
    Spend a verified code and clear the failures before it. Call it in the transaction that grants access.

    A pending reset is canceled, because the factor that it declared lost was just used.

    Raises:
        InvalidCode, InvalidBackupCode: Another request spent it first.
    """
    if proved.step is not None:
        if not tx.two_factor.consume_step(proved.target, step=proved.step):
            raise InvalidCode
    else:
        if not tx.two_factor.consume_code(proved.target, now=tx.now):
            raise InvalidBackupCode
        left = tx.two_factor.count_codes(proved.user_id)
        tx.record(
            AuditEvent(action=types.BACKUP_CODE_USED, user_id=proved.user_id, details={"remaining": left})
        )
    tx.challenges.clear_attempts(proved.user_id)
    cancel_reset(tx, proved.user_id, outcome="factor_proved")
