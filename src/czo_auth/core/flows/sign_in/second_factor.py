"""Second step of sign-in, and step-up: a code for a challenge or for a session."""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import InvalidChallenge, InvalidToken
from czo_auth.core.events.types import STEP_UP, AuditEvent
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import SignedIn, issue_session, renew_session, signed_in
from czo_auth.core.flows.sign_in.new_browser import is_new_browser
from czo_auth.core.flows.two_factor.trusted_devices import trust_device
from czo_auth.core.flows.two_factor.verify_code import CodeKind, VerifiedCode, VerifyCode, consume_code
from czo_auth.core.passkeys.passkey import PASSKEY_METHODS
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import Challenge
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


class SecondFactor:
    """Turns a correct code into a session with ``aal`` 2."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._prove = VerifyCode(services)

    async def complete_sign_in(
        self,
        challenge: str,
        code: str,
        kind: CodeKind,
        *,
        wants_trust: bool,
        known_browser: str | None = None,
        context: Context,
    ) -> SignedIn:
        """
        Finish the sign-in of *challenge*.

        The code is spent, the challenge consumed and the session created in one transaction: all or nothing (S30).

        Raises:
            InvalidChallenge, TooManyAttempts, AccountLocked, InvalidCode, InvalidBackupCode, SecretUnreadable
        """
        if not tokens.is_well_formed(challenge, tokens.CHALLENGE):
            raise InvalidChallenge
        await self._services.limits.hit("second_factor", ip=context.ip, account=None)
        digest = tokens.digest(challenge)
        proved = await self._prove.for_challenge(digest, code, kind, context=context)
        user, issued, device_token, is_new = await self._services.transactions.run(
            lambda tx: self._grant(tx, proved, wants_trust=wants_trust, known_browser=known_browser), context
        )
        if proved.method == "bkp":
            mail_notice(self._services, user, "backup_code_used", context=context)
        if is_new:
            mail_notice(self._services, user, "new_browser", context=context)
        return signed_in(
            self._services,
            user,
            issued,
            now=context.now,
            trusted_device_token=device_token,
            knows_browser=proved.challenge is not None and proved.challenge.renews is None,
        )

    async def account_of(self, challenge: str, *, now: datetime) -> User:
        """
        Return the user of *challenge*; no attempt is counted. Its holder has already proved the password.

        Raises:
            InvalidChallenge: Unknown, expired, used or outdated.
        """
        if not tokens.is_well_formed(challenge, tokens.CHALLENGE):
            raise InvalidChallenge
        digest = tokens.digest(challenge)

        def read(tx: Transaction) -> User:
            found = tx.challenges.find_challenge(digest, now=now)
            user = None if found is None else tx.users.find(found.user_id)
            if found is None or user is None:
                raise InvalidChallenge
            check_challenge(user, found)
            return user

        return await self._services.transactions.read(read, system_context(now))

    def _grant(
        self, tx: Transaction, proved: VerifiedCode, *, wants_trust: bool, known_browser: str | None
    ) -> tuple[User, IssuedSession, str | None, bool]:
        challenge = proved.challenge
        user = tx.users.lock(proved.user_id)
        if challenge is None or user is None:
            raise InvalidChallenge
        check_challenge(user, challenge)
        as_user = tx.acting_as(tx.context.by(user.id, proved.method))
        # First, because counting an attempt locks the challenge and then the user's failures, which a correct code
        # clears.
        consume_challenge(tx, challenge)
        consume_code(as_user, proved)
        is_new = challenge.renews is None and is_new_browser(self._services, tx, user, known_browser)
        issued, device = finish_challenge(
            self._services, as_user, user, challenge, proved.method, wants_trust=wants_trust
        )
        return user, issued, device, is_new

    async def step_up(self, code: str, kind: CodeKind, *, context: Context) -> SignedIn:
        """
        Prove a second factor in a session; the session is renewed with ``aal`` 2.

        Raises:
            TotpNotEnabled, AccountLocked, InvalidCode, InvalidBackupCode, SecretUnreadable
            InvalidToken: The session ended in the meantime.
        """
        principal = context.caller
        await self._services.limits.hit("second_factor", ip=context.ip, account=principal.user_id)
        proved = await self._prove.for_user(
            principal.require_user(), code, kind, session_id=principal.session_id, context=context
        )

        def grant(tx: Transaction) -> tuple[User, IssuedSession]:
            user = tx.users.lock_active(principal.require_user())
            if user is None:
                raise InvalidToken
            consume_code(tx, proved)
            issued = renew_session(
                tx,
                user,
                principal.session_id,
                policy=self._services.policies.sessions,
                proved=proved.method,
            )
            tx.record(AuditEvent(action=STEP_UP, user_id=user.id))
            return user, issued

        user, issued = await self._services.transactions.run(
            grant, context.by(principal.require_user(), proved.method)
        )
        if proved.method == "bkp":
            mail_notice(self._services, user, "backup_code_used", context=context)
        return signed_in(self._services, user, issued, now=context.now)


def check_challenge(user: User, challenge: Challenge) -> None:
    """
    Refuse a challenge that is outdated for the user.

    Raises:
        InvalidChallenge: The user was banned, their credentials changed, or they lost the actor type.
    """
    if (
        user.banned_at is not None
        or user.credential_version != challenge.credential_version
        or challenge.actor_type not in user.actor_types
    ):
        raise InvalidChallenge


def consume_challenge(tx: Transaction, challenge: Challenge) -> None:
    """
    Consume a challenge, in the transaction that spends the proof and issues the session.

    Raises:
        InvalidChallenge: Another request consumed it first.
    """
    if not tx.challenges.consume_challenge(challenge.id, now=tx.now):
        raise InvalidChallenge


def finish_challenge(
    services: Services, tx: Transaction, user: User, challenge: Challenge, method: str, *, wants_trust: bool
) -> tuple[IssuedSession, str | None]:
    """
    Issue the session of a challenge. Call it in the transaction that consumed the challenge and spent the proof.

    Args:
        method: By which the second factor was proved: ``otp``, ``bkp``, ``hwk`` or ``swk``.

    Returns:
        The session, and the token of a device that is trusted from now on.

    Raises:
        InvalidChallenge: The session that it renews has ended.
    """
    issued = _issue(services, tx, user, challenge, method)
    device = trust_device(services, tx, user) if wants_trust else None
    return issued, device


def _issue(
    services: Services, tx: Transaction, user: User, challenge: Challenge, method: str
) -> IssuedSession:
    policy = services.policies.sessions
    if challenge.renews is None:
        return issue_session(
            tx,
            user,
            actor_type=challenge.actor_type,
            amr=("pwd", method),
            auth_time=tx.now if method in PASSKEY_METHODS else challenge.auth_time,
            factor_proved_at=tx.now,
            remembered=challenge.remembered,
            policy=policy,
        )
    try:
        return renew_session(
            tx,
            user,
            challenge.renews,
            policy=policy,
            proved=method,
            actor_type=challenge.actor_type,
            extends=False,
        )
    except InvalidToken:
        raise InvalidChallenge from None
