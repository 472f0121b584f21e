"""
Changing the address of an account.

Nothing changes until the link to the new address is used. The old address gets a link that takes the change back for
seven days, because someone who took over a session may have asked for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from czo_auth.core.budgets import Budget, consume_budget
from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidMailToken, UserAlreadyExists
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_EMAIL_CHANGES_A_DAY
from czo_auth.core.mail_drafts import (
    compose_email_change,
    compose_email_change_notice,
    compose_email_change_taken,
    compose_email_change_taken_back,
)
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email, deliverable_email
from czo_auth.core.users.email_change import EmailChange
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

CHANGE_LIFETIME: Final = timedelta(days=1)
REVERT_LIFETIME: Final = timedelta(days=7)


class ChangeEmail:
    """Requests, confirms, refuses and reverts changes of address."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def request(
        self,
        *,
        new_email: str,
        callback_url: str | None = None,
        password: str | None = None,
        code: str | None = None,
        context: Context,
    ) -> None:
        """
        Mail a link to the new address and a notice to the old one; the same whether the new address is taken or not.

        An earlier pending change is replaced.

        Args:
            callback_url: Where the link redirects to; already checked.

        Raises:
            ValidationFailed: It is not an address.
            RateLimited: Too many mails, or too many changes in a day, were asked for.
            InvalidPassword, ReauthenticationRequired, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        principal = context.caller
        email, mailbox = canonical_email(new_email, field="newEmail"), deliverable_email(new_email)
        proof = await self._proof.require(password=password, code=code, context=context)
        await self._services.limits.hit("mail", ip=context.ip, account=email)
        await self._services.limits.hit("mail", ip=context.ip, account=proof.user.email)
        token, revert_token = tokens.new_token(tokens.MAIL), tokens.new_token(tokens.MAIL)

        def keep_change(tx: Transaction) -> tuple[User, bool]:
            user = proof.consume(tx)
            if user.email == email:
                return user, False
            consume_budget(tx, Budget(name=f"email_changes/{user.id}", limit=MAX_EMAIL_CHANGES_A_DAY))
            session = tx.sessions.find(principal.session_id) if principal.session_id else None
            taken = _is_taken(tx, email, user.id)
            tx.email_changes.close_waiting(user.id, now=tx.now)
            change = EmailChange(
                id=new_id(tx.now),
                user_id=user.id,
                lineage_id=session.lineage_id if session else None,
                old_email=user.email,
                old_mailbox=user.mail_address,
                # An address that is taken gets no link, so it is not stored in this change.
                new_email="" if taken else email,
                new_mailbox="" if taken else mailbox,
                asked_at=tx.now,
                expires_at=tx.now + CHANGE_LIFETIME,
                revert_until=tx.now + REVERT_LIFETIME,
            )
            tx.email_changes.add(
                change, digest=tokens.digest(token), revert_digest=tokens.digest(revert_token)
            )
            # Without the new address: until the link is used, it may belong to someone else, and this record would
            # outlive their account.
            details = {"emailChangeId": change.id}
            audit_event = AuditEvent(action=types.EMAIL_CHANGE_REQUESTED, user_id=user.id, details=details)
            tx.record(audit_event)
            return user, taken

        user, taken = await self._services.transactions.run(keep_change, context)
        if user.email == email:
            return
        links = self._services.links
        self._services.background.post(
            compose_email_change_taken(mailbox, at=context.now, language=user.language)
            if taken
            else compose_email_change(
                mailbox,
                token=token,
                links=links,
                callback_url=callback_url,
                valid_for=CHANGE_LIFETIME,
                language=user.language or context.language,
            )
        )
        self._services.background.post(
            compose_email_change_notice(user, token=revert_token, links=links, at=context.now)
        )

    async def confirm(self, token: str, *, context: Context) -> User:
        """
        Set the user's new address; all sessions except the current one end.

        A link that was used already succeeds while the address is still the user's.

        Raises:
            InvalidMailToken: Unknown, expired, replaced or taken back.
            UserAlreadyExists: The address was taken in the meantime.
        """
        digest = tokens.digest(token)

        def change_address(tx: Transaction) -> User:
            owner = tx.email_changes.find_by_token(digest)
            user = tx.users.lock(owner.user_id) if owner else None
            # Under the lock: the link may have been opened elsewhere in the meantime.
            found = tx.email_changes.find_by_token(digest)
            if found is None or user is None or user.banned_at is not None:
                raise InvalidMailToken
            if found.confirmed_at is not None and found.closed_at is None and user.email == found.new_email:
                return user
            change = tx.email_changes.confirm(digest, revert_until=tx.now + REVERT_LIFETIME, now=tx.now)
            if change is None or user.email != change.old_email:
                raise InvalidMailToken
            if tx.email_changes.is_reserved(change.new_email, but_for=user.id, now=tx.now):
                raise UserAlreadyExists
            self._replace(tx, user, change, by=context.by(user.id, "mail"))
            return tx.users.find(user.id) or user

        return await self._services.transactions.run(change_address, context)

    def _replace(self, tx: Transaction, user: User, change: EmailChange, *, by: Context) -> None:
        set_address(tx, user, change.new_email, mailbox=change.new_mailbox, email_verified=True)
        asking = [
            session.id
            for session in tx.sessions.list_live(user.id, now=tx.now)
            if change.lineage_id is not None and session.lineage_id == change.lineage_id
        ]
        end_sessions(tx.acting_as(by), user.id, reason="email_changed", keep=asking[0] if asking else None)
        details = {"changed": ["email"], "previousEmail": change.old_email, "email": change.new_email}
        audit_event = AuditEvent(action=types.USER_UPDATED, user_id=user.id, details=details)
        tx.acting_as(by).record(audit_event)

    async def refuse(self, token: str, *, context: Context) -> bool:
        """
        Cancel a pending change by the link to the new address, whose owner did not request it.

        The link to the old address keeps working: someone who took over a session may hold the link to the new one.

        Returns:
            Whether *token* was of such a change.
        """
        digest = tokens.digest(token)

        def reject_change(tx: Transaction) -> bool:
            found = tx.email_changes.find_by_token(digest)
            user = tx.users.lock(found.user_id) if found else None
            change = tx.email_changes.reject(digest, now=tx.now) if user else None
            if change is None:
                return False
            record_closed(tx, change, reason="rejected")
            return True

        return await self._services.transactions.run(reject_change, context)

    async def is_revertible(self, token: str, *, now: datetime) -> bool:
        """Return whether the link to the old address can still revert a change; this does not spend it."""
        if not tokens.is_well_formed(token, tokens.MAIL):
            return False
        digest = tokens.digest(token)
        found = await self._services.transactions.read(
            lambda tx: tx.email_changes.find_by_revert_token(digest, now=now)
        )
        return found is not None

    async def take_back(self, token: str, *, context: Context) -> None:
        """
        Revert a change by the link to the old address, whether it was confirmed or not; all sessions end.

        Raises:
            RateLimited: Too many tries.
            InvalidMailToken: Unknown, used or too old.
            UserAlreadyExists: Someone else has the old address.
        """
        await self._services.limits.hit("password", ip=context.ip, account=None)
        if not tokens.is_well_formed(token, tokens.MAIL):
            raise InvalidMailToken
        digest = tokens.digest(token)

        def restore_address(tx: Transaction) -> EmailChange:
            found = tx.email_changes.find_by_revert_token(digest, now=tx.now)
            user = tx.users.lock(found.user_id) if found else None
            change = tx.email_changes.take_back(digest, now=tx.now)
            if user is None or change is None:
                raise InvalidMailToken
            by = context.by(user.id, "mail")
            tx.email_changes.close_all(user.id, since=change.asked_at, now=tx.now)
            if user.email != change.old_email:
                set_address(
                    tx, user, change.old_email, mailbox=change.old_mailbox, email_verified=user.email_verified
                )
                details = {"changed": ["email"], "previousEmail": user.email, "email": change.old_email}
                audit_event = AuditEvent(
                    action=types.USER_UPDATED, user_id=user.id, details={**details, "reverted": True}
                )
                tx.acting_as(by).record(audit_event)
            else:
                record_closed(tx.acting_as(by), change, reason="taken_back")
                drop_mailed(tx, user)
            end_sessions(tx.acting_as(by), user.id, reason="email_change_taken_back")
            return change

        change = await self._services.transactions.run(restore_address, context)
        self._services.background.post(
            compose_email_change_taken_back(change.old_mailbox, at=context.now, language=context.language)
        )


def set_address(tx: Transaction, user: User, email: str, *, mailbox: str, email_verified: bool) -> None:
    """
    Replace a locked user's address; links mailed to the previous one stop working.

    Raises:
        UserAlreadyExists: Someone else has it.
    """
    if not tx.users.set_email(
        user.id, email=email, mailbox=mailbox, email_verified=email_verified, now=tx.now
    ):
        raise UserAlreadyExists
    drop_mailed(tx, user)


def drop_mailed(tx: Transaction, user: User) -> None:
    """Invalidate every link, challenge, sign-in in progress and trusted device of a locked user."""
    tx.users.drop_mail_tokens(user.id)
    tx.email_changes.close_waiting(user.id, now=tx.now)
    tx.challenges.drop_trusted_devices(user.id)
    tx.users.bump_credential_version(user.id, now=tx.now)


def close_changes(tx: Transaction, user_id: str, *, reason: str) -> int:
    """Cancel a user's pending changes of address and record each; return how many."""
    closed = tx.email_changes.close_waiting(user_id, now=tx.now)
    for change in closed:
        tx.email_changes.close(change.id, now=tx.now)
        record_closed(tx, change, reason=reason)
    return len(closed)


def record_closed(tx: Transaction, change: EmailChange, *, reason: str) -> None:
    """Record that a change of address ended without effect."""
    details = {"emailChangeId": change.id, "reason": reason}
    audit_event = AuditEvent(action=types.EMAIL_CHANGE_CLOSED, user_id=change.user_id, details=details)
    tx.record(audit_event)


def _is_taken(tx: Transaction, email: str, user_id: str) -> bool:
    return tx.users.find_by_email(email) is not None or tx.email_changes.is_reserved(
        email, but_for=user_id, now=tx.now
    )
