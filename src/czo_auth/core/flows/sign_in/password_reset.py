"""Passwords after sign-up: change, and reset by mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidMailToken, InvalidPassword, InvalidToken, NotFound, UserIsBanned
from czo_auth.core.events import types
from czo_auth.core.events.types import PASSWORD_RECOVERY_ISSUED, PASSWORD_RESET_REQUESTED, AuditEvent
from czo_auth.core.flows.accounts.proved_address import end_earlier_access
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import SignedIn, end_sessions, renew_session, signed_in
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.flows.users.mailed_tokens import store_mail_token
from czo_auth.core.flows.users.password_choice import check_choice
from czo_auth.core.flows.users.password_guesses import PasswordGuesses
from czo_auth.core.mail_drafts import (
    Ended,
    compose_address_proved,
    compose_password_reset,
)
from czo_auth.core.record_budgets import reset_proof_budget
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import find_canonical_email
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

RESET_LIFETIME = timedelta(hours=1)


class Passwords:
    """Changes and resets passwords; both end the sessions of the old password (S23)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)
        self._guesses = PasswordGuesses(services)

    async def change(self, *, current: str, new: str, context: Context) -> SignedIn:
        """
        Change the password; the current session is renewed, all others end.

        Raises:
            InvalidPassword: *current* is wrong.
            PasswordTooShort, PasswordTooLong, PasswordCompromised: *new* may not be chosen.
        """
        principal = context.caller
        user = await self._services.transactions.read(lambda tx: tx.users.find(principal.require_user()))
        if user is None:
            raise InvalidToken
        await self._proof.password(user, current, context=context)
        await check_choice(self._services, new)
        password_hash = await self._services.hashing.hash_password(new)

        def store_password(tx: Transaction) -> tuple[User, IssuedSession]:
            fresh = tx.users.lock(user.id)
            if fresh is None or fresh.password_hash != user.password_hash:
                raise InvalidPassword
            issued = renew_session(tx, fresh, principal.session_id, policy=self._services.policies.sessions)
            self._replace(tx, user.id, password_hash, keep=issued.session.id)
            return tx.users.find(user.id) or fresh, issued

        by_user = context.by(user.id, "pwd")
        fresh, issued = await self._services.transactions.run(store_password, by_user)
        mail_notice(self._services, user, "password_changed", context=context)
        return signed_in(self._services, fresh, issued, now=context.now, knows_browser=True)

    def _replace(self, tx: Transaction, user_id: str, password_hash: str, *, keep: str | None) -> None:
        tx.users.set_password(user_id, password_hash=password_hash, now=tx.now)
        tx.users.bump_credential_version(user_id, now=tx.now)
        # A link that is still in a mailbox must not undo what the owner has done since.
        tx.users.drop_password_tokens(user_id)
        tx.two_factor.drop_enrollment(user_id)
        tx.challenges.drop_trusted_devices(user_id)
        end_sessions(tx, user_id, reason="password_changed", keep=keep)
        tx.record(AuditEvent(action=types.USER_UPDATED, user_id=user_id, details={"changed": ["password"]}))

    async def request_reset(self, email: str, *, context: Context, page: str | None = None) -> None:
        """
        Mail a reset link, if there is such a user; the answer is the same if there is not.

        Args:
            page: Where the link leads, with ``token`` added; it was checked. By default the deployment's own page.
        """
        canonical = find_canonical_email(email)
        await self._services.limits.hit("mail", ip=context.ip, account=canonical)
        if canonical is None:
            return
        token = tokens.new_token(tokens.MAIL)

        def store_token(tx: Transaction) -> User | None:
            user = tx.users.find_by_email(canonical)
            tx.record(AuditEvent(action=PASSWORD_RESET_REQUESTED, user_id=user.id if user else None))
            if user is None or user.banned_at is not None:
                return None
            is_kept = store_mail_token(tx, user, token, purpose="reset_password", lifetime=RESET_LIFETIME)
            return user if is_kept else None

        if (user := await self._services.transactions.run(store_token, context)) is not None:
            message = compose_password_reset(
                user,
                token=token,
                links=self._services.links,
                valid_for=RESET_LIFETIME,
                page=page,
                language=context.language,
            )
            self._services.background.post(message)

    async def issue_recovery_token(self, user_id: str, *, reason: str, context: Context) -> str:
        """
        Issue a password reset token to an operator, who passes it to a user who cannot receive mail.

        It does what a mailed one does, but confirms no address.

        Raises:
            NotFound: There is no such user.
            UserIsBanned: The user is banned.
        """
        token = tokens.new_token(tokens.MAIL)

        def store_token(tx: Transaction) -> None:
            user = tx.users.find(user_id)
            if user is None:
                raise NotFound
            if user.banned_at is not None:
                raise UserIsBanned
            tx.users.drop_mail_tokens(user.id, purpose="recover_password")
            store_mail_token(tx, user, token, purpose="recover_password", lifetime=RESET_LIFETIME)
            audit_event = AuditEvent(
                action=PASSWORD_RECOVERY_ISSUED, user_id=user.id, details={"reason": reason}
            )
            tx.record(audit_event)

        await self._services.transactions.run(store_token, context)
        return token

    async def open_link(self, token: str, *, now: datetime) -> None:
        """
        Record that a mailed link was opened, which invalidates earlier ones of its kind; unknown links are ignored.
        """
        if not tokens.is_well_formed(token, tokens.MAIL):
            return
        digest = tokens.digest(token)
        found = await self._services.transactions.read(lambda tx: tx.users.find_mail_token(digest, now=now))
        if found is None:
            return

        def open_token(tx: Transaction) -> None:
            tx.users.lock(found.user_id)
            tx.users.open_mail_token(digest, now=now)

        await self._services.transactions.run(open_token)

    async def is_live(self, token: str, *, now: datetime) -> bool:
        """Return whether a mailed link can still set a password; this does not spend it."""
        if not tokens.is_well_formed(token, tokens.MAIL):
            return False
        digest = tokens.digest(token)
        found = await self._services.transactions.read(lambda tx: tx.users.find_mail_token(digest, now=now))
        return found is not None and found.purpose == "reset_password"

    async def reset(self, token: str, *, new: str, context: Context) -> None:
        """
        Set a new password with a token that was mailed, or handed over by an operator.

        Signs nobody in, ends all sessions, leaves the second factor on, and lifts a stop of the second factor. A timed
        lock stays, or a mailbox would allow unlimited guesses. If a mailed token proves the address for the first time,
        everything from before ends too, because it may belong to someone else (``end_earlier_access``).

        Raises:
            InvalidMailToken: Unknown, used or expired. *new* is checked first, so a bad choice does not spend the
                token.
            PasswordTooShort, PasswordTooLong, PasswordCompromised: *new* may not be chosen.
        """
        await self._services.limits.hit("password", ip=context.ip, account=None)
        if not tokens.is_well_formed(token, tokens.MAIL):
            raise InvalidMailToken
        self._services.policies.passwords.check(new)
        digest = tokens.digest(token)
        found = await self._services.transactions.read(
            lambda tx: tx.users.find_mail_token(digest, now=context.now)
        )
        if found is None or found.purpose == "verify_email":
            raise InvalidMailToken
        await check_choice(self._services, new)
        password_hash = await self._services.hashing.hash_password(new)

        def replace_password(tx: Transaction) -> tuple[User, Sequence[Ended] | None]:
            user = tx.users.lock_active(found.user_id)
            taken = tx.users.take_mail_token(digest, purpose=found.purpose, now=tx.now)
            if taken is None or user is None or user.email != taken.email:
                raise InvalidMailToken
            is_mailed = taken.purpose == "reset_password"
            by_user = context.by(user.id, "mail" if is_mailed else "operator")
            as_user = tx.acting_as(by_user)
            proves = is_mailed and not user.email_verified
            ended = end_earlier_access(self._services, tx, user, by=by_user) if proves else None
            self._replace(as_user, user.id, password_hash, keep=None)
            tx.challenges.clear_stop(user.id)
            self._guesses.forget_account(tx, user.email)
            reset_proof_budget(tx, user.id)
            if proves:
                tx.users.update_profile(
                    user.id, name=user.name, image=user.image, email_verified=True, now=tx.now
                )
            return user, ended

        user, ended = await self._services.transactions.run(replace_password, context)
        if ended is None:
            mail_notice(self._services, user, "password_changed", context=context)
        else:
            self._services.background.post(compose_address_proved(user, at=context.now, ended=ended))
