"""Refresh: a rotating token gets a new access token, and theft is detected (S22)."""

from __future__ import annotations

from dataclasses import dataclass, field

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidRefreshToken, RefreshInProgress, Refusal
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import record_revoked
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_REFRESHES
from czo_auth.core.sessions.last_used import SessionUses
from czo_auth.core.sessions.session import RefreshToken, Session
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """A new pair of tokens."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


class Refresh:
    """
    Rotates refresh tokens.

    A token that was just replaced gets 409 for a few seconds, because tabs of a browser race each other. The successor
    is not returned again, so that only one token of the family is ever live. Any later use means that the token was
    copied.

    Source: RFC 9700 section 4.14.2.
    """

    def __init__(self, services: Services, *, session_uses: SessionUses | None = None) -> None:
        self._services = services
        self._session_uses = session_uses or SessionUses(idle=services.policies.sessions.idle)

    async def refresh(self, refresh_token: str, *, context: Context) -> Refreshed:
        """
        Exchange *refresh_token* for its successor and a new access token.

        Raises:
            RateLimited: Too many from this address.
            InvalidRefreshToken: Unknown, expired, revoked, or reused: then the family is dead. Also when the session
                was refreshed as often as it may be.
            RefreshInProgress: It was replaced a moment ago; the family lives.
        """
        if not tokens.is_well_formed(refresh_token, tokens.REFRESH):
            raise InvalidRefreshToken
        await self._services.limits.hit("refresh", ip=context.ip, account=None)
        digest = tokens.digest(refresh_token)
        successor = tokens.new_token(tokens.REFRESH)

        def rotate(tx: Transaction) -> tuple[User, Session] | Refusal:
            found = tx.sessions.find_refresh_token(digest)
            if found is None or found.revoked or found.expires_at <= tx.now:
                return InvalidRefreshToken()
            # The lock serializes the rotation and a concurrent "end all sessions".
            user = tx.users.lock(found.user_id)
            session = tx.sessions.find(found.session_id)
            if (
                user is None
                or session is None
                or user.banned_at
                or session.actor_type not in user.actor_types
                or self._session_uses.is_idle(session.id, stored=session.last_used_at, now=tx.now)
            ):
                return InvalidRefreshToken()
            if not tx.sessions.replace_refresh_token(found.id, now=tx.now):
                return self._replaced(tx, found, digest)
            if found.family_size >= MAX_REFRESHES:
                # None of its tokens may be deleted while the session lives, or the reuse of a stolen one would not be
                # noticed.
                tx.sessions.revoke(session.id, reason="too_many_refreshes", now=tx.now)
                tx.sessions.drop_refresh_tokens(session.id)
                record_revoked(tx, user.id, session.id, reason="too_many_refreshes")
                return InvalidRefreshToken()
            tx.sessions.add_refresh_token(
                new_id(tx.now),
                session=session,
                digest=tokens.digest(successor),
                parent_id=found.id,
                now=tx.now,
            )
            tx.sessions.touch({session.id: tx.now})
            return user, session

        match await self._services.transactions.run(rotate, context):
            case Refusal() as refusal:
                raise refusal
            case user, session:
                restricted = self._services.must_enroll(user, now=context.now)
                access_token = self._services.access_tokens.sign(
                    session, restricted=restricted, now=context.now
                )
                return Refreshed(access_token=access_token, refresh_token=successor)

    def _replaced(self, tx: Transaction, found: RefreshToken, digest: str) -> Refusal:
        """Distinguish a race from theft; theft revokes the family, which is committed."""
        fresh = tx.sessions.find_refresh_token(digest) or found
        if (
            fresh.replaced_at is not None
            and tx.now - fresh.replaced_at <= self._services.policies.sessions.refresh_grace
        ):
            return RefreshInProgress()
        if tx.sessions.revoke(found.session_id, reason="refresh_reuse", now=tx.now):
            tx.record(
                AuditEvent(
                    action=types.REFRESH_REUSE_DETECTED,
                    user_id=found.user_id,
                    details={"sessionId": found.session_id},
                )
            )
            record_revoked(tx, found.user_id, found.session_id, reason="refresh_reuse")
        return InvalidRefreshToken()
