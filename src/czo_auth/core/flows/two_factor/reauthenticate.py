"""
Recent proof, which sensitive changes require of the person at the keyboard (S7).

A flow that needs it asks before its transaction and consumes inside it::

    proof = await self._proof.require(password=password, code=code, context=context)

    def change_address(tx: Transaction) -> None:
        user = proof.consume(tx)
        ...

    await self._services.transactions.run(change_address, context)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    InvalidPassword,
    InvalidToken,
    ReauthenticationRequired,
    SessionRequired,
    TotpNotEnabled,
    ValidationFailed,
)
from czo_auth.core.events.types import REAUTHENTICATED, AuditEvent
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.verify_code import VerifiedCode, VerifyCode, consume_code
from czo_auth.core.flows.users.password_guesses import PasswordGuesses
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import Session
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedProof:
    """
    A proof that was verified and counts once it is consumed.

    Attributes:
        user: The user as they were when the proof was verified.
        code: The code that was sent along, if one was.
    """

    user: User
    session_id: str
    code: VerifiedCode | None

    def consume(self, tx: Transaction) -> User:
        """
        Lock the user and spend the code. Call it at the beginning of the transaction of the change.

        Returns:
            The locked user.

        Raises:
            InvalidToken: The session ended in the meantime, or the user was banned.
            ReauthenticationRequired: Password or second factor were changed in the meantime.
            InvalidCode, InvalidBackupCode: Another request spent the code first.
        """
        fresh = tx.users.lock_active(self.user.id)
        if fresh is None or tx.sessions.find(self.session_id) is None:
            raise InvalidToken
        if fresh.credential_version != self.user.credential_version:
            raise ReauthenticationRequired
        if self.code is not None:
            # The change may end the challenges, and counting an attempt locks the challenge before the failures.
            tx.challenges.lock_challenges(fresh.id)
            consume_code(tx.acting_as(tx.context.by(fresh.id, self.code.method)), self.code)
            tx.sessions.forget_wrong_codes(self.session_id)
        return fresh


class Reauthentication:
    """Requires password and second factor; checks the password first, so that a wrong one spends no code."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._prove = VerifyCode(services)
        self._guesses = PasswordGuesses(services)

    async def require(
        self,
        *,
        password: str | None = None,
        code: str | None = None,
        asks_password: bool = False,
        user: User | None = None,
        context: Context,
    ) -> VerifiedProof:
        """
        Refuse unless the caller proved within ten minutes who they are (S7).

        That is the password: typed at sign-in, at ``/reauthenticate``, or sent as *password*. If the user has a second
        factor, it is required too: proved at sign-in, by step-up, at ``/reauthenticate``, or by *code*. What is sent
        must be correct, even if an older proof would have sufficed. A user without a password (imported, or made by an
        administrator) proves the factor alone; one with neither signs in again or sets a password by mail.

        Args:
            asks_password: Demand *password* in this request, however recently it was typed.
            user: The caller, if the flow has read them: what it saw of their factors is still true when the proof is
                consumed. Left out, they are read here.

        Returns:
            What the transaction of the change consumes.

        Raises:
            SessionRequired: The caller is an API key.
            InvalidToken: The user is gone.
            RateLimited: Too many tries.
            InvalidPassword: *password* is wrong; no code was looked at.
            ReauthenticationRequired: A proof is too old, and nothing was sent to renew it.
            InvalidCode, AccountLocked, SecretUnreadable: *code* was not accepted.
        """
        principal = context.caller
        if user is None:
            session_id, user = await self._find_caller(principal)
        elif principal.session_id is None:
            raise SessionRequired
        else:
            session_id = principal.session_id
        if password is not None:
            await self.password(user, password, context=context)
        elif not self._has_proved_password(user, asks_password=asks_password, context=context):
            raise ReauthenticationRequired
        proved = None
        if user.has_factor and code is not None:
            proved = await self._prove.for_user(
                user.id, code, "either", session_id=session_id if password is None else None, context=context
            )
        elif user.has_factor and not self._is_recent(principal.factor_proved_at, now=context.now):
            raise ReauthenticationRequired
        if proved is not None and proved.method == "bkp":
            # The change that it was sent for spends it.
            mail_notice(self._services, user, "backup_code_used", context=context)
        return VerifiedProof(user=user, session_id=session_id, code=proved)

    async def password(self, user: User, password: str, *, context: Context) -> None:
        """
        Refuse unless *password* is the user's.

        Raises:
            RateLimited: Too many tries.
            InvalidPassword: It is not.
        """
        await self._services.limits.hit("password", ip=context.ip, account=None)
        guess = await self._guesses.count_in_session(context=context)
        match = await self._services.hashing.verify_password(user.password_hash, password)
        if not match.matches:
            raise InvalidPassword
        await self._services.transactions.run(guess.take_back, context)

    async def renew(self, *, password: str | None, code: str | None, context: Context) -> Session:
        """
        Authenticate again in the current session; the session stays the same and gets newer proof times.

        Its ``aal`` is not raised: that takes a step-up, which renews the session's secrets.

        Raises:
            ValidationFailed: Neither a password nor a code was sent.
            TotpNotEnabled: A code was sent and there is no second factor.
            SessionRequired, InvalidToken, RateLimited, InvalidPassword, InvalidCode, AccountLocked: As ``require``.
        """
        principal = context.caller
        if password is None and code is None:
            raise ValidationFailed(details=(("body", "Send a password, a code, or both."),))
        session_id, user = await self._find_caller(principal)
        if password is not None:
            await self.password(user, password, context=context)
        proved = None
        if code is not None:
            if not user.has_factor:
                raise TotpNotEnabled
            proved = await self._prove.for_user(
                user.id, code, "either", session_id=session_id if password is None else None, context=context
            )
        proof = VerifiedProof(user=user, session_id=session_id, code=proved)
        methods = [*(("pwd",) if password is not None else ()), *((proved.method,) if proved else ())]

        def renew_proof(tx: Transaction) -> Session:
            proof.consume(tx)
            tx.sessions.renew_proof(
                session_id,
                password_proved_at=None if password is None else tx.now,
                factor_proved_at=None if proved is None else tx.now,
            )
            session = tx.sessions.find(session_id)
            if session is None:
                raise InvalidToken
            audit_event = AuditEvent(
                action=REAUTHENTICATED,
                user_id=user.id,
                details={"sessionId": session_id, "methods": methods},
            )
            tx.acting_as(context.by(user.id, methods[-1])).record(audit_event)
            return session

        session = await self._services.transactions.run(renew_proof, context)
        if proved is not None and proved.method == "bkp":
            mail_notice(self._services, user, "backup_code_used", context=context)
        return session

    async def is_recent(self, *, context: Context) -> bool:
        """
        Whether `require` would admit the caller without a password or code.

        Raises:
            SessionRequired, InvalidToken: As `require`.
        """
        principal = context.caller
        _, user = await self._find_caller(principal)
        if not self._has_proved_password(user, asks_password=False, context=context):
            return False
        return not user.has_factor or self._is_recent(principal.factor_proved_at, now=context.now)

    async def _find_caller(self, principal: Principal) -> tuple[str, User]:
        if principal.session_id is None:
            raise SessionRequired
        user = await self._services.transactions.read(lambda tx: tx.users.find(principal.require_user()))
        if user is None:
            raise InvalidToken
        return principal.session_id, user

    def _has_proved_password(self, user: User, *, asks_password: bool, context: Context) -> bool:
        principal = context.caller
        if user.password_hash is None and user.has_factor:
            return True
        return not asks_password and self._is_recent(principal.auth_time, now=context.now)

    def _is_recent(self, proved_at: datetime | None, *, now: datetime) -> bool:
        lifetime = self._services.policies.two_factor.proof_lifetime
        return proved_at is not None and now - proved_at <= lifetime
