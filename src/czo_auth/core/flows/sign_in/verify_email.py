"""Confirming an email address, and what else a user may change about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidMailToken
from czo_auth.core.events import types
from czo_auth.core.events.types import VERIFICATION_REQUESTED, AuditEvent, AuditFilter
from czo_auth.core.flows.accounts.change_email import ChangeEmail
from czo_auth.core.flows.accounts.delete_user import DeleteUser
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.mail import MailOrigin
from czo_auth.core.mail_drafts import compose_verification
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import find_canonical_email
from czo_auth.core.users.store import MailToken
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

VERIFICATION_LIFETIME = timedelta(days=1)


KEEP_USED = timedelta(days=90)
"""How long a used link is remembered, so that opening it again is not an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """
    What a link confirms.

    Attributes:
        made: When and from where the account was made; None for a change of address.
        used: Whether the link was used already.
    """

    email: str
    made: MailOrigin | None
    used: bool


class VerifyEmail:
    """Sends confirmation links and handles them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._change_email = ChangeEmail(services)
        self._delete_user = DeleteUser(services)

    async def send(self, email: str, *, context: Context, callback_url: str | None = None) -> None:
        """
        Mail a confirmation link, if there is such a user and the address is not confirmed.

        Args:
            callback_url: Where the link redirects to; already checked.

        Raises:
            RateLimited: Too many mails were asked for.
        """
        canonical = find_canonical_email(email)
        await self._services.limits.hit("mail", ip=context.ip, account=canonical)
        if canonical is None:
            return
        token = tokens.new_token(tokens.MAIL)

        def keep_token(tx: Transaction) -> tuple[User, MailOrigin] | None:
            user = tx.users.find_by_email(canonical)
            # Recorded for known and unknown addresses alike, so that the response always takes the time of a commit.
            tx.record(AuditEvent(action=VERIFICATION_REQUESTED, user_id=user.id if user else None))
            if user is None or user.email_verified or user.banned_at is not None:
                return None
            tx.users.lock(user.id)
            mail_token = MailToken(
                id=new_id(tx.now),
                user_id=user.id,
                purpose="verify_email",
                email=user.email,
                expires_at=tx.now + VERIFICATION_LIFETIME,
            )
            is_kept = tx.users.add_mail_token(mail_token, digest=tokens.digest(token), now=tx.now)
            return (user, made_from(tx, user)) if is_kept else None

        if (kept := await self._services.transactions.run(keep_token, context)) is not None:
            user, made = kept
            message = compose_verification(
                user,
                token=token,
                links=self._services.links,
                made=made,
                valid_for=VERIFICATION_LIFETIME,
                callback_url=callback_url,
                language=context.language,
            )
            self._services.background.post(message)

    async def verify(self, token: str, *, context: Context) -> User:
        """
        Confirm the address that *token* was mailed to: that of the account, or the new one of a change.

        A link that was used already succeeds while the address is still confirmed.

        Raises:
            InvalidMailToken: Unknown, replaced or expired.
            UserAlreadyExists: The new address was taken in the meantime.
        """
        if not tokens.is_well_formed(token, tokens.MAIL):
            raise InvalidMailToken
        digest = tokens.digest(token)

        def confirm(tx: Transaction) -> User | None:
            found = tx.users.find_mail_token(digest, now=tx.now)
            known = found or tx.users.find_used_mail_token(digest, purpose="verify_email", now=tx.now)
            if known is None or known.purpose != "verify_email":
                return None
            user = tx.users.lock(known.user_id)
            taken = None
            if found is not None:
                taken = tx.users.use_mail_token(
                    digest, purpose="verify_email", keep_until=tx.now + KEEP_USED, now=tx.now
                )
            if user is None or user.email != known.email or (taken is None and not user.email_verified):
                raise InvalidMailToken
            if taken is None:
                return user
            tx.users.update_profile(
                user.id, name=user.name, image=user.image, email_verified=True, now=tx.now
            )
            as_user = tx.acting_as(context.by(user.id, "mail"))
            as_user.record(
                AuditEvent(action=types.USER_UPDATED, user_id=user.id, details={"changed": ["emailVerified"]})
            )
            return tx.users.find(user.id) or user

        confirmed = await self._services.transactions.run(confirm, context)
        return confirmed or await self._change_email.confirm(token, context=context)

    async def describe(self, token: str, *, now: datetime) -> Confirmation:
        """
        Return what a link confirms, so that its reader can choose "this was not me".

        Raises:
            InvalidMailToken: Unknown, replaced or expired.
        """
        if not tokens.is_well_formed(token, tokens.MAIL):
            raise InvalidMailToken
        digest = tokens.digest(token)

        def read(tx: Transaction) -> Confirmation:
            live = tx.users.find_mail_token(digest, now=now)
            found = live or tx.users.find_used_mail_token(digest, purpose="verify_email", now=now)
            user = tx.users.find(found.user_id) if found else None
            if found is not None and found.purpose != "verify_email":
                raise InvalidMailToken
            if found is not None and user is not None:
                return Confirmation(
                    email=found.email, made=made_from(tx, user), used=found.used_at is not None
                )
            change = tx.email_changes.find_by_token(digest)
            if change is None or change.replaced_at or change.closed_at or change.expires_at <= now:
                raise InvalidMailToken
            return Confirmation(email=change.new_email, made=None, used=change.confirmed_at is not None)

        return await self._services.transactions.read(read)

    async def reject(self, token: str, *, context: Context) -> None:
        """
        "This was not me": delete the account that was never confirmed, or end the change of address alone.

        Raises:
            RateLimited: Too many tries.
            InvalidMailToken: Unknown, used, expired, or the account was confirmed.
            LastAdministrator: Nobody else could administer the deployment.
        """
        await self._services.limits.hit("password", ip=context.ip, account=None)
        if not tokens.is_well_formed(token, tokens.MAIL):
            raise InvalidMailToken
        if await self._change_email.refuse(token, context=context):
            return
        digest = tokens.digest(token)
        found = await self._services.transactions.read(
            lambda tx: tx.users.find_mail_token(digest, now=context.now)
        )
        if found is None or found.purpose != "verify_email":
            raise InvalidMailToken

        def lock_unconfirmed(tx: Transaction) -> User:
            # Under the lock: the link may have been used to confirm in the meantime.
            user = tx.users.lock(found.user_id)
            live = tx.users.find_mail_token(digest, now=context.now)
            if user is None or live is None:
                raise InvalidMailToken
            if user.email_verified or user.email != live.email:
                raise InvalidMailToken
            return user

        await self._delete_user.delete_rejected(
            found.user_id, lock_unconfirmed, context=context.by(found.user_id, "mail")
        )


def made_from(tx: Transaction, user: User) -> MailOrigin:
    """Return when and from where an account was made, as the audit log still knows it."""
    found = tx.audit_log.audit_above(0, AuditFilter(user_id=user.id, action=types.USER_REGISTERED), limit=1)
    by = found[0].context if found else None
    return MailOrigin(at=user.created_at, ip=by.ip if by else None, user_agent=by.user_agent if by else None)
