"""Sessions, and the description of a credential."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import WithJsonSchema

from czo_auth.core import principal as core_principal
from czo_auth.core.paging import Page
from czo_auth.core.passkeys.passkey import is_phishing_resistant
from czo_auth.core.sessions import session as core
from czo_auth.core.users import user as core_user
from czo_auth.core.users.user_fields import UserFields
from czo_auth.rest.records.base import ABSENT_IF_NONE, ABSENT_UNLESS_SET, Id, Listed, Record, Timestamp
from czo_auth.rest.records.users import User

Assurance = Annotated[int, WithJsonSchema({"enum": [1, 2]})]
Method = Annotated[str, WithJsonSchema({"enum": ["pwd", "otp", "bkp", "hwk", "swk", "user"]})]
Restriction = Annotated[
    str | None, WithJsonSchema({"enum": [None, core_principal.TWO_FACTOR_SETUP]}, mode="serialization")
]
CredentialKind = Annotated[str, WithJsonSchema({"enum": ["session", "api_key"]})]


class Session(Record):
    """A session, without its secrets."""

    id: Id
    actor_type: str
    organization_id: Id | None
    aal: Assurance
    amr: list[Method]
    phishing_resistant: bool
    auth_time: Timestamp
    restricted_to: Restriction
    created_at: Timestamp
    expires_at: Timestamp

    @classmethod
    def of(cls, session: core.Session, *, restricted_to: str | None, **more: Any) -> Self:
        """
        Make the record of *session*.

        Args:
            restricted_to: What the user must do before anything else, or None.
            more: The additional fields of a subclass.
        """
        return cls(
            id=session.id,
            actor_type=session.actor_type,
            organization_id=session.organization_id,
            aal=session.aal,
            amr=list(session.amr),
            phishing_resistant=is_phishing_resistant(aal=session.aal, amr=session.amr),
            auth_time=session.auth_time,
            restricted_to=restricted_to,
            created_at=session.created_at,
            expires_at=session.expires_at,
            **more,
        )


class ListedSession(Session):
    """A session in a list; ``current`` marks the session of the caller."""

    ip_address: str | None
    user_agent: str | None
    current: bool

    @classmethod
    def of(
        cls, session: core.Session, *, restricted_to: str | None, own_id: str | None = None, **more: Any
    ) -> Self:
        return super().of(
            session,
            restricted_to=restricted_to,
            ip_address=session.ip,
            user_agent=session.user_agent,
            current=session.id == own_id,
            **more,
        )


class ClientSession(Record):
    """A session as better-auth's client expects it; ``token`` is the public handle."""

    id: Id
    token: Id
    user_id: Id
    expires_at: Timestamp
    created_at: Timestamp
    updated_at: Timestamp
    ip_address: str | None
    user_agent: str | None
    active_organization_id: Id | None

    @classmethod
    def of(cls, session: core.Session) -> Self:
        """Make the record of *session*."""
        return cls(
            id=session.id,
            token=session.id,
            user_id=session.user_id,
            expires_at=session.expires_at,
            created_at=session.created_at,
            updated_at=session.created_at,
            ip_address=session.ip,
            user_agent=session.user_agent,
            active_organization_id=session.organization_id,
        )


class Principal(Record):
    """The description of a credential; ``organization_role`` is present only for service accounts, as null."""

    kind: CredentialKind
    user_id: Id | None
    actor_type: str | None
    organization_id: Id | None
    aal: Assurance
    amr: list[str]
    phishing_resistant: bool
    scopes: list[str]
    restricted_to: Restriction
    service_account_id: Id | None = ABSENT_IF_NONE
    organization_role: str | None = ABSENT_UNLESS_SET
    api_key_id: Id | None = ABSENT_IF_NONE
    session_id: Id | None = ABSENT_IF_NONE

    @classmethod
    def of(cls, principal: core_principal.Principal) -> Self:
        """Make the record of *principal*."""
        role = {} if principal.service_account_id is None else {"organization_role": None}
        return cls(
            kind=principal.kind,
            user_id=principal.user_id,
            actor_type=principal.actor_type,
            organization_id=principal.organization_id,
            aal=principal.aal,
            amr=list(principal.amr),
            phishing_resistant=principal.phishing_resistant,
            scopes=list(principal.scopes),
            restricted_to=principal.restricted_to,
            service_account_id=principal.service_account_id,
            api_key_id=principal.api_key_id,
            session_id=principal.session_id,
            **role,
        )


class SessionAnswer(Record):
    session: Session

    @classmethod
    def of(cls, session: core.Session, *, restricted_to: str | None) -> Self:
        """Answer with one session."""
        return cls(session=Session.of(session, restricted_to=restricted_to))


class PresentSession(Session):
    """The current session, and from when on an organization refuses its user for lack of a second factor."""

    two_factor_due_at: Timestamp | None


class CurrentSession(Record):
    """The current session and its user."""

    session: PresentSession
    user: User

    @classmethod
    def of_user(
        cls,
        session: core.Session,
        user: core_user.User,
        fields: UserFields,
        *,
        restricted_to: str | None,
        due_at: datetime | None,
    ) -> Self:
        """Answer with a session and its user."""
        present = PresentSession.of(session, restricted_to=restricted_to, two_factor_due_at=due_at)
        return cls(session=present, user=User.of(user, fields))


class SessionPage(Listed):
    sessions: list[ListedSession]

    @classmethod
    def of(cls, page: Page[core.Session], *, own_id: str | None, restricted_to: str | None) -> Self:
        """Return a page of a user's sessions; *own_id* is the session of the caller."""
        listed = [ListedSession.of(each, own_id=own_id, restricted_to=restricted_to) for each in page.items]
        return cls(sessions=listed, total=page.total, next_cursor=page.next_cursor)
