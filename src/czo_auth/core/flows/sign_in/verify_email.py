"""Confirming an email address, and what else a user may change about themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidMailToken, InvalidToken
from czo_auth.core.events import types
from czo_auth.core.events.types import VERIFICATION_REQUESTED, AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.mail import compose_verification
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import find_canonical_email
from czo_auth.core.users.store import MailToken
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

VERIFICATION_LIFETIME = timedelta(days=1)


class VerifyEmail:
    """Mails confirmation links and takes them back."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def send(self, email: str, *, context: Context, now: datetime) -> None:
        """
        Mail a confirmation link, if there is such a user and the address is not confirmed.

        Raises:
            RateLimited: Too many mails were asked for.
        """
        canonical = find_canonical_email(email)
        await self._services.limits.hit("mail", ip=context.ip, account=canonical)
        if canonical is None:
            return
        token = tokens.new_token(tokens.MAIL)

        def store_token(tx: Transaction) -> str | None:
            user = tx.users.find_by_email(canonical)
            # Recorded for whoever it is, so that the answer takes the time of a commit in any case.
            tx.audit_log.record(
                AuditEvent(action=VERIFICATION_REQUESTED, user_id=user.id if user else None),
                context=context,
                now=now,
            )
            if user is None or user.email_verified or user.banned_at is not None:
                return None
            tx.users.lock(user.id)
            mail_token = MailToken(
                id=new_id(now),
                user_id=user.id,
                purpose="verify_email",
                email=user.email,
                expires_at=now + VERIFICATION_LIFETIME,
            )
            is_kept = tx.users.add_mail_token(mail_token, digest=tokens.digest(token), now=now)
            return user.mail_address if is_kept else None

        if (address := await self._services.transactions.run(store_token)) is not None:
            message = compose_verification(
                address, token=token, links=self._services.links, valid_for=VERIFICATION_LIFETIME
            )
            self._services.background.post(message)

    async def verify(self, token: str, *, context: Context, now: datetime) -> User:
        """
        Confirm the address that *token* was mailed to.

        Raises:
            InvalidMailToken: Unknown, used or expired.
        """
        if not tokens.is_well_formed(token, tokens.MAIL):
            raise InvalidMailToken

        def confirm_email(tx: Transaction) -> User:
            taken = tx.users.take_mail_token(tokens.digest(token), purpose="verify_email", now=now)
            user = tx.users.lock(taken.user_id) if taken else None
            if taken is None or user is None or user.email != taken.email:
                raise InvalidMailToken
            tx.users.update_profile(user.id, name=user.name, image=user.image, email_verified=True, now=now)
            tx.audit_log.record(
                AuditEvent(
                    action=types.USER_UPDATED, user_id=user.id, details={"changed": ["emailVerified"]}
                ),
                context=context.by(user.id, "mail"),
                now=now,
            )
            return tx.users.find(user.id) or user

        return await self._services.transactions.run(confirm_email)


async def update_profile(
    services: Services,
    principal: Principal,
    *,
    name: str | None,
    image: str | None,
    clears_image: bool,
    context: Context,
    now: datetime,
) -> None:
    """Change the name or the picture; what is None stays, unless *clears_image*."""

    def store_profile(tx: Transaction) -> None:
        user = tx.users.lock(principal.user_id)
        if user is None:
            raise InvalidToken
        changed = [key for key, value in (("name", name), ("image", image)) if value is not None]
        tx.users.update_profile(
            user.id,
            name=user.name if name is None else name,
            image=None if clears_image else (user.image if image is None else image),
            email_verified=user.email_verified,
            now=now,
        )
        tx.audit_log.record(
            AuditEvent(
                action=types.USER_UPDATED,
                user_id=user.id,
                details={"changed": [*changed, *(["image"] if clears_image else [])]},
            ),
            context=context,
            now=now,
        )

    await services.transactions.run(store_profile)
