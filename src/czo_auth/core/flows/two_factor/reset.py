"""
Resetting the second factor of someone who lost it: immediately, or after a waiting period in which it can be canceled.

The waiting period protects against someone who talks an administrator into a reset: the owner of the account is warned
by mail, and can cancel by its link, in a session, or just by signing in with the supposedly lost factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import (
    CannotResetOwnFactor,
    InvalidMailToken,
    NotFound,
    ResetAlreadyPending,
    TwoFactorNotEnabled,
    UserIsBanned,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import TWO_FACTOR_RESET, AuditEvent
from czo_auth.core.fields import checked_reason
from czo_auth.core.flows.factors import remove_all_factors
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.flows.two_factor.proofs import ConsumeProof, consume_proof, no_proof
from czo_auth.core.ids import new_id
from czo_auth.core.mail import MailDraft
from czo_auth.core.mail_drafts import (
    compose_two_factor_reset,
    compose_two_factor_reset_asked,
    compose_two_factor_reset_cancelled,
)
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_of
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.reset import Outcome, Reset
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

AT_ONCE: Final = 100
"""How many resets are carried out, or notified, in one run of housekeeping."""


class Recovery:
    """Asks for, lists, cancels and carries out resets. Who may ask is decided before (``access.ADMINISTRATION``)."""

    def __init__(self, services: Services) -> None:
        self._services = services

    # --- requesting --------------------------------------------------------------------------------------------------
    async def ask(
        self, user_id: str, *, reason: str, consume: ConsumeProof = no_proof, context: Context
    ) -> Reset | None:
        """
        Reset the second factor of a user who lost everything, for an administrator.

        Without a waiting period, or if there is only a lock to lift, it happens immediately. Otherwise it is pending,
        and the user gets a mail with a link that cancels it. For factors that stayed when a password reset first proved
        the address, it always waits a day.

        Returns:
            The pending reset, or None if it is done.

        Raises:
            CannotResetOwnFactor: The user is the administrator.
            NotFound: There is no such user.
            TwoFactorNotEnabled: There is nothing to reset, neither a factor nor a lock.
            ResetAlreadyPending: One is pending for this user.
            UserIsBanned: A banned user cannot have a pending reset.
            ValidationFailed: The reason is not valid.
        """
        principal = context.caller
        reason = checked_reason(reason)
        if user_id == principal.user_id:
            raise CannotResetOwnFactor
        policy = self._services.policies.two_factor
        token = tokens.new_token(tokens.MAIL)

        def store_reset(tx: Transaction) -> tuple[User, Reset | None]:
            consume_proof(tx, consume, on=user_id)
            user = _lock(tx, user_id)
            wait = policy.wait_for(factors_kept=user.factors_kept_at is not None)
            if not wait or not user.owns_factor:
                _reset_now(tx, user, reason=reason)
                return user, None
            if user.banned_at is not None:
                raise UserIsBanned
            reset = Reset(
                id=new_id(tx.now),
                user_id=user.id,
                asked_by=principal.require_user(),
                reason=reason,
                asked_at=tx.now,
                due_at=tx.now + wait,
            )
            if not tx.resets.add(reset, digest=tokens.digest(token)):
                raise ResetAlreadyPending
            details = {"resetId": reset.id, "reason": reason, "waitSeconds": int(wait.total_seconds())}
            audit_event = AuditEvent(action=types.TWO_FACTOR_RESET_ASKED, user_id=user.id, details=details)
            tx.record(audit_event)
            return user, reset

        user, reset = await self._services.transactions.run(store_reset, context)
        self._services.background.post(
            compose_two_factor_reset(user, at=context.now)
            if reset is None
            else compose_two_factor_reset_asked(
                user,
                token=token,
                links=self._services.links,
                at=context.now,
                due_at=reset.due_at,
            )
        )
        return reset

    async def reset_now(self, user_id: str, *, reason: str, context: Context) -> None:
        """
        Reset a second factor immediately, for an operator at a terminal; supersedes a pending one.

        Raises:
            NotFound: There is no such user.
            TwoFactorNotEnabled: There is nothing to reset, neither a factor nor a lock.
            ValidationFailed: The reason is not valid.
        """
        reason = checked_reason(reason)

        def reset_factor(tx: Transaction) -> User:
            user = _lock(tx, user_id)
            _reset_now(tx, user, reason=reason)
            return user

        user = await self._services.transactions.run(reset_factor, context)
        self._services.background.post(compose_two_factor_reset(user, at=context.now))

    # --- reading -----------------------------------------------------------------------------------------------------
    async def list_waiting(self, page: PageQuery = FIRST_PAGE) -> Page[Reset]:
        """
        Read the pending resets, the soonest due first.

        Raises:
            ValidationFailed: The cursor is not valid.
        """
        after = page.position

        def read(tx: Transaction) -> Page[Reset]:
            found = tx.resets.list_waiting(after=after, limit=page.limit + 1)
            total = tx.resets.count_waiting()
            return page_of(found, page, total=total, position=lambda reset: (reset.due_at, reset.id))

        return await self._services.transactions.read(read)

    async def find(self, user_id: str) -> Reset | None:
        """Read a user's pending reset."""
        return await self._services.transactions.read(lambda tx: tx.resets.find_waiting(user_id))

    # --- canceling ---------------------------------------------------------------------------------------------------
    async def cancel(self, user_id: str, *, context: Context) -> None:
        """
        Cancel a user's pending reset, for any administrator or an operator.

        Raises:
            NotFound: None is pending.
        """
        await self._cancel(user_id, "administrator_cancelled", context=context)

    async def cancel_own(self, *, context: Context) -> None:
        """
        Cancel the caller's own pending reset.

        Raises:
            NotFound: None is pending.
        """
        principal = context.caller
        await self._cancel(principal.require_user(), "user_cancelled", context=context)

    async def _cancel(self, user_id: str, outcome: Outcome, *, context: Context) -> None:
        def cancel(tx: Transaction) -> None:
            user = _lock(tx, user_id)
            if not cancel_reset(tx, user.id, outcome=outcome):
                raise NotFound

        await self._services.transactions.run(cancel, context)

    async def is_cancellable(self, token: str, *, now: datetime) -> bool:
        """Return whether the mailed token can still cancel a reset; this does not spend it."""
        if not tokens.is_well_formed(token, tokens.MAIL):
            return False
        digest = tokens.digest(token)
        found = await self._services.transactions.read(lambda tx: tx.resets.find_by_token(digest, now=now))
        return found is not None

    async def cancel_by_token(self, token: str, *, context: Context) -> None:
        """
        Cancel with the token that was mailed to the user; needs no session, and works until the reset is due.

        Raises:
            RateLimited: Too many tries.
            InvalidMailToken: Unknown, used, or too late.
        """
        await self._services.limits.hit("password", ip=context.ip, account=None)
        if not tokens.is_well_formed(token, tokens.MAIL):
            raise InvalidMailToken
        digest = tokens.digest(token)

        def cancel(tx: Transaction) -> None:
            found = tx.resets.find_by_token(digest, now=tx.now)
            user = tx.users.lock(found.user_id) if found else None
            # Again under the lock: another process may have carried out the reset.
            if user is None or tx.resets.find_by_token(digest, now=tx.now) is None:
                raise InvalidMailToken
            cancel_reset(tx.acting_as(context.by(user.id, "mail")), user.id, outcome="link_used")

        await self._services.transactions.run(cancel, context)

    # --- when it is due ----------------------------------------------------------------------------------------------
    async def carry_out_due(self, *, now: datetime) -> None:
        """
        Carry out the resets that are due, and notify users of the outcome. Safe in several processes at once.

        A reset is carried out only if the administrator who requested it still could.
        """
        transactions = self._services.transactions
        due, closed = await transactions.read(
            lambda tx: (tx.resets.due(now=now, limit=AT_ONCE), tx.resets.closed(limit=AT_ONCE))
        )
        for reset in due:
            await transactions.run(partial(self._carry_out, reset=reset), system_context(now))
        if due:
            closed = await transactions.read(lambda tx: tx.resets.closed(limit=AT_ONCE))
        for reset in closed:
            await self._notify(reset)

    def _carry_out(self, tx: Transaction, *, reset: Reset) -> None:
        user = tx.users.lock(reset.user_id)
        waiting = tx.resets.find_waiting(reset.user_id)
        if user is None or waiting is None or waiting.id != reset.id:
            return
        if not self._may_ask(tx.users.find(reset.asked_by)):
            cancel_reset(tx, user.id, outcome="asker_lost_rights")
            return
        tx.resets.close(reset.id, outcome="carried_out", now=tx.now)
        more = {"resetId": reset.id, "askedBy": reset.asked_by}
        _remove(tx, user, reason=reset.reason, more=more)

    def _may_ask(self, requester: User | None) -> bool:
        if requester is None or requester.banned_at is not None or not requester.owns_factor:
            return False
        return any(self._services.actors.administers(name) for name in requester.actor_types)

    async def _notify(self, reset: Reset) -> None:
        """Notify the user of the outcome of a reset. Of several processes, only the one that deletes it does."""

        def forget(tx: Transaction) -> User | None:
            return tx.users.find(reset.user_id) if tx.resets.forget(reset.id) else None

        user = await self._services.transactions.run(forget)
        message = None if user is None else _notice(user, reset)
        if message is not None:
            self._services.background.post(message)


def _notice(user: User, reset: Reset) -> MailDraft | None:
    """Compose the notification; for a reset superseded by an immediate one, only about that one."""
    closed_at = reset.closed_at or reset.due_at
    match reset.outcome:
        case "carried_out":
            return compose_two_factor_reset(user, at=closed_at)
        case "superseded" | "user_banned":
            return None
        case _:
            return compose_two_factor_reset_cancelled(user, asked_at=reset.asked_at, at=closed_at)


def _reset_now(tx: Transaction, user: User, *, reason: str) -> None:
    cancel_reset(tx, user.id, outcome="superseded")
    until, stopped = tx.challenges.find_lock(user.id)
    if not user.owns_factor and until is None and not stopped:
        raise TwoFactorNotEnabled
    _remove(tx, user, reason=reason, more={})


def _remove(tx: Transaction, user: User, *, reason: str, more: Mapping[str, object]) -> None:
    """Remove all factors and any lock, and end all sessions."""
    removed = remove_all_factors(tx, user.id, reason="two_factor_reset")
    end_sessions(tx, user.id, reason="two_factor_reset")
    facts = [AuditEvent(action=TWO_FACTOR_RESET, user_id=user.id, details={"reason": reason, **more})]
    if removed:
        details = {"method": removed.methods[0], "methods": removed.methods, "reset": True}
        facts.append(AuditEvent(action=types.TWO_FACTOR_DISABLED, user_id=user.id, details=details))
    for audit_event in facts:
        tx.record(audit_event)


def _lock(tx: Transaction, user_id: str) -> User:
    user = tx.users.lock(user_id)
    if user is None:
        raise NotFound
    return user
