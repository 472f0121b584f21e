"""Turning two-factor authentication on: begin shows a secret, confirm activates it (S6, S7, S8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    InvalidToken,
    Refusal,
    SecretAlreadyShown,
    TotpAlreadyEnabled,
    TotpNotEnabled,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import SignedIn, end_sessions, renew_session, signed_in
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.flows.two_factor.hash_ahead import HashAhead
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication, VerifiedProof
from czo_auth.core.flows.two_factor.verify_code import (
    open_secret,
    record_wrong_code,
    reserve_attempt,
    wrong_totp,
)
from czo_auth.core.ids import new_id
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import PENDING_CODES, TOTP_SECRET, Enrollment, HashedCode, TotpFactor
from czo_auth.core.two_factor.policy import must_renew
from czo_auth.core.users.user import User
from czo_auth.crypto import codes, totp
from czo_auth.crypto.codes import BackupCode


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEnrollment:
    """What is shown once, and never again (S8)."""

    secret: str = field(repr=False)
    totp_uri: str = field(repr=False)
    backup_codes: tuple[str, ...] = field(repr=False)
    expires_at: datetime


class EnableTwoFactor:
    """Begins and confirms enrollments."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)
        self._codes = HashAhead(services)

    async def begin(
        self,
        *,
        password: str | None,
        code: str | None,
        replace: bool,
        issuer: str | None,
        context: Context,
        draw_ahead: Callable[[str], object] | None = None,
    ) -> PendingEnrollment:
        """
        Create a secret and ten codes and show them; nothing is active yet. If a passkey already turned two factors on,
        the backup codes stay, and no new ones are shown.

        The codes are hashed while the person scans; until then they are stored encrypted, so a restart loses nothing.

        Args:
            replace: Start an enrollment in addition to an active factor, which works until the new one is confirmed.
                Not needed once the term of the active factor is over.
            code: Proves the active factor, where *replace* needs it and the session has no recent proof.
            draw_ahead: Called with the URI before the password is verified, where nobody else waits for a hash: what
                it begins can be done meanwhile. It does not know yet whether the password is right.

        Raises:
            RateLimited: Too many tries.
            TotpAlreadyEnabled: A factor is active and *replace* was not asked for.
            InvalidPassword: The password is wrong.
            ReauthenticationRequired: Neither password nor sign-in is recent enough.
        """
        principal = context.caller
        await self._services.limits.hit("second_factor", ip=context.ip, account=principal.user_id)
        user = await self._services.transactions.read(lambda tx: tx.users.find(principal.require_user()))
        if user is None:
            raise InvalidToken
        if user.has_totp and not replace and not must_renew(user.renew_by, now=context.now):
            raise TotpAlreadyEnabled
        secret = totp.new_secret()
        uri = totp.otpauth_uri(
            secret, account=user.email, issuer=issuer or self._services.policies.two_factor.issuer
        )
        if draw_ahead is not None and self._services.hashing.is_idle:
            draw_ahead(uri)
        proof = await self._proof.require(
            password=password, code=code, asks_password=user.has_totp, user=user, context=context
        )
        return await self._store_enrollment(proof, secret=secret, uri=uri, context=context)

    async def _store_enrollment(
        self, proof: VerifiedProof, *, secret: bytes, uri: str, context: Context
    ) -> PendingEnrollment:
        principal = context.caller
        user = proof.user
        policy = self._services.policies.two_factor
        enrollment_id = new_id(context.now)
        expires_at = context.now + policy.enrollment_lifetime
        ring = self._services.key_ring
        bound_to = {"user": user.id, "enrolment": enrollment_id}

        def store_enrollment(tx: Transaction) -> list[BackupCode]:
            fresh = proof.consume(tx)
            # If a passkey turned two factors on, the existing backup codes stay.
            keeps_codes = fresh.has_factor and not fresh.has_totp and tx.two_factor.count_codes(user.id) > 0
            number = 0 if keeps_codes else policy.backup_codes
            fresh_codes = codes.new_codes(number, taken=tx.two_factor.selectors(user.id))
            shown = "\n".join(code.text for code in fresh_codes).encode()
            tx.idempotency.forget_enrollment(user.id)
            tx.two_factor.put_enrollment(
                Enrollment(
                    id=enrollment_id,
                    user_id=user.id,
                    lineage_id=principal.lineage_id,
                    sealed_secret=ring.seal(secret, purpose=TOTP_SECRET, bound_to=bound_to),
                    sealed_codes=ring.seal(shown, purpose=PENDING_CODES, bound_to=bound_to)
                    if fresh_codes
                    else None,
                    replaces=fresh.has_totp,
                    created_at=tx.now,
                    expires_at=expires_at,
                )
            )
            return fresh_codes

        new_codes = await self._services.transactions.run(store_enrollment, context)
        if new_codes:
            self._services.background.spawn(self._codes.begin(enrollment_id, user.id, new_codes))
        return PendingEnrollment(
            secret=totp.encode_secret(secret),
            totp_uri=uri,
            backup_codes=tuple(code.text for code in new_codes),
            expires_at=expires_at,
        )

    async def confirm(self, code: str, *, context: Context) -> SignedIn | None:
        """
        Confirm the pending enrollment of this session, or of one that it renews, with its first code.

        Activates the factor and its codes, ends all other sessions and challenges, and renews the session.

        Returns:
            The renewed session, or None when nothing is pending, or when the code belongs to the active factor
            that is about to be replaced.

        Raises:
            AccountLocked, InvalidCode, SecretUnreadable: As at sign-in.
            TotpNotEnabled: The enrollment was confirmed or replaced in the meantime.
        """
        principal = context.caller
        await self._services.limits.hit("second_factor", ip=context.ip, account=principal.user_id)
        attempt = await self._services.transactions.run(lambda tx: self._count(tx, principal, code), context)
        if attempt is None:
            return None
        enrollment, step, failures, hashed_already = attempt
        if step is None:
            await record_wrong_code(
                self._services,
                principal.require_user(),
                failures,
                "otp",
                at_sign_in=False,
                context=context,
            )
            raise self._wrong(enrollment, code, now=context.now)
        hashed = None if hashed_already else await self._codes.finish(enrollment)

        def activate(tx: Transaction) -> tuple[User, IssuedSession]:
            return self._activate(tx, principal, enrollment, step, hashed)

        user, issued = await self._services.transactions.run(activate, context)
        mail_notice(
            self._services,
            user,
            "two_factor_replaced" if enrollment.replaces else "two_factor_enabled",
            context=context,
        )
        return signed_in(self._services, user, issued, now=context.now)

    def _count(
        self, tx: Transaction, principal: Principal, code: str
    ) -> tuple[Enrollment, int | None, int, bool] | None:
        """Count the attempt, and find the step that *code* matches."""
        user_id = principal.require_user()
        enrollment = tx.two_factor.find_enrollment(user_id, lineage_id=principal.lineage_id, now=tx.now)
        if enrollment is None:
            return None
        secret = open_secret(self._services.key_ring, enrollment.id, user_id, enrollment.sealed_secret)
        step = totp.matching_step(
            secret, totp.normalize(code), now=tx.now, drift=self._services.policies.two_factor.drift
        )
        if step is None and enrollment.replaces:
            return None
        failures = reserve_attempt(self._services, tx, user_id)
        return enrollment, step, failures, tx.two_factor.has_pending_codes(enrollment.id)

    def _wrong(self, enrollment: Enrollment, code: str, *, now: datetime) -> Refusal:
        secret = open_secret(
            self._services.key_ring, enrollment.id, enrollment.user_id, enrollment.sealed_secret
        )
        drift = self._services.policies.two_factor.drift
        return wrong_totp(secret, totp.normalize(code), now=now, drift=drift)

    def _activate(
        self,
        tx: Transaction,
        principal: Principal,
        enrollment: Enrollment,
        step: int,
        hashed: Sequence[HashedCode] | None,
    ) -> tuple[User, IssuedSession]:
        user = tx.users.lock_active(principal.require_user())
        if user is None:
            raise InvalidToken
        two_factor = tx.two_factor
        if hashed is None and two_factor.has_pending_codes(enrollment.id):
            two_factor.activate_pending_codes(user.id, set_id=enrollment.id, now=tx.now)
        if not two_factor.take_enrollment(enrollment.id):
            raise TotpNotEnabled
        tx.idempotency.forget_enrollment(user.id)
        if hashed is not None:
            two_factor.put_codes(user.id, set_id=enrollment.id, codes=hashed, now=tx.now)
        two_factor.put_factor(
            TotpFactor(
                id=enrollment.id,
                user_id=user.id,
                sealed_secret=enrollment.sealed_secret,
                last_step=step,
                enabled_at=tx.now,
            )
        )
        if user.has_passkey and user.passkeys_enabled_at is None:
            tx.users.set_passkeys_enabled(user.id, tx.now, now=tx.now)
        tx.challenges.drop_trusted_devices(user.id)
        tx.users.bump_credential_version(user.id, now=tx.now)
        as_user = tx.acting_as(tx.context.by(user.id, "otp"))
        cancel_reset(as_user, user.id, outcome="factor_proved")
        issued = renew_session(
            as_user,
            user,
            principal.session_id,
            policy=self._services.policies.sessions,
            proved="otp",
        )
        end_sessions(as_user, user.id, reason="two_factor_enabled", keep=issued.session.id)
        # After the challenges, because counting an attempt locks the challenge first.
        tx.challenges.clear_attempts(user.id)
        as_user.record(
            AuditEvent(
                action=types.TWO_FACTOR_ENABLED,
                user_id=user.id,
                details={
                    "method": "totp",
                    "replaced": enrollment.replaces,
                    "actorType": issued.session.actor_type,
                },
            )
        )
        return tx.users.find(user.id) or user, issued

    async def pending_uri(self, *, password: str | None, context: Context) -> str:
        """
        Show the URI of the pending enrollment again, to the session that began it and its renewals.

        Raises:
            TotpAlreadyEnabled: The secret is active; it is never shown again (S8).
            TotpNotEnabled: Nothing is pending.
            InvalidPassword: A password was sent and is wrong.
        """
        principal = context.caller
        read = self._services.transactions.read
        user, enrollment = await read(
            lambda tx: (
                tx.users.find(principal.require_user()),
                tx.two_factor.find_enrollment(
                    principal.require_user(), lineage_id=principal.lineage_id, now=context.now
                ),
            )
        )
        if user is None:
            raise InvalidToken
        if enrollment is None:
            raise SecretAlreadyShown if user.has_totp else TotpNotEnabled
        if password is not None:
            await self._proof.password(user, password, context=context)
        secret = open_secret(self._services.key_ring, enrollment.id, user.id, enrollment.sealed_secret)
        return totp.otpauth_uri(secret, account=user.email, issuer=self._services.policies.two_factor.issuer)
