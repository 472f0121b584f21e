"""Sessions as their owner sees them: list, revoke, sign out, switch the actor type."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.context import Context
from czo_auth.core.errors import ActorTypeMismatch, InvalidToken, NotFound
from czo_auth.core.flows.factors import enable_where_demanded
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import (
    SignedIn,
    end_sessions,
    record_revoked,
    renew_session,
    signed_in,
)
from czo_auth.core.flows.sessions.listing import live_sessions, page_of_sessions
from czo_auth.core.flows.sign_in.password import SecondFactorRequired, open_challenge
from czo_auth.core.paging import Page, PageQuery
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import IssuedSession, Session
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


class ManageSessions:
    """What a user does with their own sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def current(self, principal: Principal) -> tuple[Session, User]:
        """
        Read the session and user behind *principal*.

        Raises:
            InvalidToken: They ended in the meantime.
        """

        def read_session(tx: Transaction) -> tuple[Session | None, User | None]:
            session = tx.sessions.find(principal.session_id) if principal.session_id else None
            return session, tx.users.find(principal.require_user())

        session, user = await self._services.transactions.read(read_session)
        if session is None or user is None:
            raise InvalidToken
        return session, user

    async def list(self, *, context: Context) -> Sequence[Session]:
        """List the user's live sessions, newest first."""
        principal = context.caller
        return await self._services.transactions.read(
            lambda tx: live_sessions(
                self._services, tx, principal.require_user(), now=context.now, own_id=principal.session_id
            )
        )

    async def list_page(self, page: PageQuery, *, context: Context) -> Page[Session]:
        """
        List a part of the user's live sessions, newest first.

        Raises:
            ValidationFailed: The cursor is not one of a page before.
        """
        return page_of_sessions(await self.list(context=context), page)

    async def revoke(self, session_id: str, *, context: Context) -> None:
        """
        End one of the user's sessions with its refresh family.

        Raises:
            NotFound: No such id, or it belongs to someone else.
        """
        principal = context.caller

        def end(tx: Transaction) -> None:
            session = tx.sessions.find(session_id)
            if session is None or session.user_id != principal.user_id:
                raise NotFound
            if not tx.sessions.revoke(session.id, reason="revoked", now=tx.now):
                raise NotFound
            record_revoked(tx, principal.user_id, session.id, reason="revoked")

        await self._services.transactions.run(end, context)

    async def revoke_others(self, *, context: Context) -> None:
        """End all other sessions, their refresh families and all pending challenges."""
        principal = context.caller

        def end(tx: Transaction) -> None:
            tx.users.lock(principal.require_user())
            end_sessions(tx, principal.require_user(), reason="revoked", keep=principal.session_id)

        await self._services.transactions.run(end, context)

    async def revoke_all(self, *, context: Context) -> None:
        """End all sessions, the present one too."""
        principal = context.caller

        def end(tx: Transaction) -> None:
            tx.users.lock(principal.require_user())
            end_sessions(tx, principal.require_user(), reason="revoked")

        await self._services.transactions.run(end, context)

    async def sign_out(self, *, context: Context) -> None:
        """End the current session; ending it twice is not an error."""
        principal = context.caller
        session_id = principal.session_id
        if session_id is None:
            return

        def end(tx: Transaction) -> None:
            if tx.sessions.revoke(session_id, reason="signed_out", now=tx.now):
                record_revoked(tx, principal.require_user(), session_id, reason="signed_out")

        await self._services.transactions.run(end, context)

    async def switch_actor(self, actor: str, *, context: Context) -> SignedIn | SecondFactorRequired:
        """
        Switch the actor type: a new session replaces the current one.

        This proves nothing, so the new session keeps the time of sign-in and the expiry of the old one. A session
        without a verified second factor, of a user who has one, gets a challenge as at sign-in; the current session is
        replaced when it is completed.

        Raises:
            UnknownActorType: There is no such actor type.
            ActorTypeMismatch: The user does not hold it.
        """
        principal = context.caller
        actor_type = self._services.actors.get(actor)

        def switch(tx: Transaction) -> tuple[User, IssuedSession] | SecondFactorRequired:
            user = tx.users.lock_active(principal.require_user())
            if user is None:
                raise InvalidToken
            if actor_type.name not in user.actor_types:
                raise ActorTypeMismatch
            session = tx.sessions.find(principal.session_id) if principal.session_id else None
            if session is None:
                raise InvalidToken
            user = enable_where_demanded(self._services, tx, user)
            if user.has_factor and principal.aal < 2:
                return open_challenge(
                    self._services,
                    tx,
                    user,
                    actor_type=actor_type.name,
                    remembered=session.remembered,
                    renews=session,
                )
            issued = renew_session(
                tx,
                user,
                principal.session_id,
                policy=self._services.policies.sessions,
                actor_type=actor_type.name,
                extends=False,
            )
            return user, issued

        match await self._services.transactions.run(switch, context):
            case SecondFactorRequired() as required:
                return required
            case user, issued:
                return signed_in(self._services, user, issued, now=context.now)
