"""A session, its refresh tokens, and the secrets that its holder gets once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from czo_auth.core.limits import MAX_SESSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """
    Attributes:
        lifetime: A session and its refresh family end this long after sign-in, whatever happens.
        short_lifetime: The same when the user asked not to be remembered.
        access_token_lifetime: How long an access token is valid for services that verify it offline.
        refresh_grace: How long the use of a token that was just replaced is answered with 409 instead of being treated
            as theft (S22).

        idle: How long a session, with its refresh family, may go unused; None for as long as it lives.
        max_sessions: Sessions of a user; beyond that, the least recently used ones end.
        wrong_codes: Wrong codes in a row that end the session that sent them.

    Source: RFC 9700 section 4.14.2 (refresh token rotation).
    """

    lifetime: timedelta = timedelta(days=7)
    short_lifetime: timedelta = timedelta(days=1)
    access_token_lifetime: timedelta = timedelta(minutes=15)
    refresh_grace: timedelta = timedelta(seconds=10)
    idle: timedelta | None = None
    max_sessions: int = MAX_SESSIONS
    wrong_codes: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """
    Attributes:
        id: Also the public handle that lists show and ``revoke-session`` takes; never the secret.
        organization_id: The organization that was activated; counts only while the user is a member.
        lineage_id: The id of the session that a sign-in issued; every renewal keeps it. Data that belongs to a session
            is bound to its lineage.
        aal, amr: Assurance and methods, as proved when the session was issued; never raised in place.
        auth_time: When the password was last proved, at sign-in or by ``/reauthenticate``.
        factor_proved_at: When the second factor was last proved, for S7's ten minutes.
    """

    id: str
    lineage_id: str
    user_id: str
    actor_type: str
    organization_id: str | None
    aal: int
    amr: tuple[str, ...]
    auth_time: datetime
    factor_proved_at: datetime | None
    remembered: bool
    ip: str | None
    user_agent: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """
    One token of a refresh family; a family belongs to one session.

    Attributes:
        family_size: How many tokens the family has.
    """

    id: str
    session_id: str
    user_id: str
    expires_at: datetime
    replaced_at: datetime | None
    revoked: bool
    family_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSession:
    """A new session with the secrets that are handed out once; they do not show in ``repr``."""

    session: Session
    session_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
