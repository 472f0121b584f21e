"""Issue, renew and revoke sessions inside the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from czo_auth.core.errors import InvalidToken
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_ENDED_SESSIONS
from czo_auth.core.passkeys.passkey import PASSKEY_METHODS
from czo_auth.core.sessions.session import IssuedSession, Session, SessionPolicy
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.known_browser import issue_browser_token
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """
    A successful sign-in.

    Attributes:
        restricted: The session may only enroll a second factor (S9).
        trusted_device_token: A new token for the browser's trusted-device cookie, if there is one.
        used_device_token: The one that it replaces, where the browser was trusted before.
        browser_token: A new token for the known-browser cookie, after a sign-in.
    """

    user: User
    issued: IssuedSession
    access_token: str = field(repr=False)
    restricted: bool
    trusted_device_token: str | None = field(default=None, repr=False)
    used_device_token: str | None = field(default=None, repr=False)
    browser_token: str | None = field(default=None, repr=False)


def signed_in(
    services: Services,
    user: User,
    issued: IssuedSession,
    *,
    now: datetime,
    trusted_device_token: str | None = None,
    used_device_token: str | None = None,
    knows_browser: bool = False,
) -> SignedIn:
    """
    Sign the access token of a session whose transaction was committed.

    Args:
        knows_browser: Whether someone signed in just now, so that the browser is known from then on.
    """
    restricted = services.must_enroll(user, now=now)
    return SignedIn(
        user=user,
        issued=issued,
        access_token=services.access_tokens.sign(issued.session, restricted=restricted, now=now),
        restricted=restricted,
        trusted_device_token=trusted_device_token,
        used_device_token=used_device_token,
        browser_token=issue_browser_token(services.key_ring, user, now=now) if knows_browser else None,
    )


def issue_session(
    tx: Transaction,
    user: User,
    *,
    actor_type: str,
    amr: tuple[str, ...],
    auth_time: datetime,
    factor_proved_at: datetime | None,
    remembered: bool,
    policy: SessionPolicy,
    organization_id: str | None = None,
    lineage_id: str | None = None,
    expires_at: datetime | None = None,
) -> IssuedSession:
    """
    Issue a session with its first refresh token; assurance follows from *amr*.

    Args:
        lineage_id: Of the session that this one renews; a new lineage begins without it.
        expires_at: When the session ends; by default after the lifetime of the policy.
    """
    lifetime = policy.lifetime if remembered else policy.short_lifetime
    session_id = new_id(tx.now)
    session = Session(
        id=session_id,
        lineage_id=lineage_id or session_id,
        user_id=user.id,
        actor_type=actor_type,
        organization_id=organization_id,
        aal=2 if len(amr) > 1 else 1,
        amr=amr,
        auth_time=auth_time,
        factor_proved_at=factor_proved_at,
        remembered=remembered,
        ip=tx.context.ip,
        user_agent=tx.context.user_agent,
        created_at=tx.now,
        expires_at=expires_at or tx.now + lifetime,
        last_used_at=tx.now,
    )
    language = tx.context.language
    if language is not None and language != user.language:
        # Mails that are not sent on request use the language of the last sign-in.
        tx.users.set_language(user.id, language)
    session_token = tokens.new_token(tokens.SESSION)
    refresh_token = tokens.new_token(tokens.REFRESH)
    tx.sessions.add(session, token_digest=tokens.digest(session_token))
    tx.sessions.add_refresh_token(
        new_id(tx.now), session=session, digest=tokens.digest(refresh_token), parent_id=None, now=tx.now
    )
    for ended in tx.sessions.revoke_beyond(user.id, limit=policy.max_sessions, keep=session.id, now=tx.now):
        record_revoked(tx, user.id, ended, reason="too_many")
    tx.sessions.drop_ended(user.id, limit=MAX_ENDED_SESSIONS)
    tx.record(
        AuditEvent(
            action=types.SESSION_CREATED,
            user_id=user.id,
            details={"sessionId": session.id, "actorType": actor_type, "amr": list(amr)},
        )
    )
    return IssuedSession(session=session, session_token=session_token, refresh_token=refresh_token)


def renew_session(
    tx: Transaction,
    user: User,
    session_id: str | None,
    *,
    policy: SessionPolicy,
    proved: str | None = None,
    actor_type: str | None = None,
    extends: bool = True,
) -> IssuedSession:
    """
    Replace a session by a new one with new secrets.

    So a token stolen before the second factor never becomes ``aal`` 2. The new session keeps the lineage, the time of
    sign-in and whether it is remembered.

    Args:
        proved: The method by which a second factor was just proved, ``otp``, ``bkp``, ``hwk`` or ``swk``; a
            passkey proves the first factor too.
        actor_type: The actor type of the new session; that of the old one when None.
        extends: Whether the new session gets a full lifetime, because something was proved for it. Otherwise it ends
            when the old one would have.

    Raises:
        InvalidToken: The session ended in the meantime.
    """
    old = tx.sessions.find(session_id) if session_id is not None else None
    if (
        old is None
        or old.expires_at <= tx.now
        or not tx.sessions.revoke(old.id, reason="renewed", now=tx.now)
    ):
        raise InvalidToken
    record_revoked(tx, user.id, old.id, reason="renewed")
    return issue_session(
        tx,
        user,
        actor_type=actor_type or old.actor_type,
        amr=_with_method(old.amr, proved),
        auth_time=tx.now if proved in PASSKEY_METHODS else old.auth_time,
        factor_proved_at=old.factor_proved_at if proved is None else tx.now,
        remembered=old.remembered,
        organization_id=old.organization_id,
        lineage_id=old.lineage_id,
        expires_at=None if extends else old.expires_at,
        policy=policy,
    )


def _with_method(amr: tuple[str, ...], proved: str | None) -> tuple[str, ...]:
    """Return the methods of a renewed session; a session in which a passkey was used stays phishing-resistant."""
    if proved is None or (proved not in PASSKEY_METHODS and not PASSKEY_METHODS.isdisjoint(amr)):
        return amr
    return (proved, "user") if amr[-1:] == ("user",) else ("pwd", proved)


def end_sessions(
    tx: Transaction,
    user_id: str,
    *,
    reason: str,
    keep: str | None = None,
    actor_types: frozenset[str] | None = None,
) -> None:
    """End a user's sessions, refresh families and pending challenges at once (S23)."""
    ended = tx.sessions.revoke_all(user_id, reason=reason, now=tx.now, keep=keep, actor_types=actor_types)
    tx.challenges.drop_challenges(user_id)
    for session_id in ended:
        record_revoked(tx, user_id, session_id, reason=reason)


def record_revoked(tx: Transaction, user_id: str, session_id: str, *, reason: str) -> None:
    """Record that a session ended before its time."""
    tx.record(
        AuditEvent(
            action=types.SESSION_REVOKED, user_id=user_id, details={"sessionId": session_id, "reason": reason}
        )
    )
