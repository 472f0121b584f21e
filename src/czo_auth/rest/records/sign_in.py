"""Responses of sign-up and sign-in. `SignedIn` contains tokens, which are shown only once."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema

from czo_auth.core.flows.sessions import issue
from czo_auth.core.flows.sessions.refresh import Refreshed
from czo_auth.core.flows.sign_in import password
from czo_auth.core.organizations import organization as core_organization
from czo_auth.core.organizations import roles
from czo_auth.core.principal import TWO_FACTOR_SETUP
from czo_auth.core.users import user as core_user
from czo_auth.core.users.user_fields import UserFields
from czo_auth.rest.records.base import ABSENT_IF_NONE, Count, Id, Record, Timestamp, token_schema
from czo_auth.rest.records.organizations import Organization
from czo_auth.rest.records.sessions import ClientSession, Session
from czo_auth.rest.records.users import User

Jwt = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[\w-]+\.[\w-]+\.[\w-]+$"})]
RefreshToken = Annotated[str, WithJsonSchema(token_schema("czr_"))]
Challenge = Annotated[str, WithJsonSchema(token_schema("czc_"))]
FactorMethod = Annotated[str, WithJsonSchema({"enum": ["passkey", "totp", "backup-code"]})]


class SignedIn(Record):
    """
    A new or renewed session with its user and its tokens.

    Attributes:
        requires_2fa_setup: Whether the session may only enroll a second factor.
        expires_in: Lifetime of the access token; unit: seconds.
        token: The session's public handle, for better-auth's client.
        redirect: Always false, so that better-auth's client does not navigate by itself.
        verified: Present if a second factor was proved.
    """

    requires_2fa: Literal[False] = Field(alias="requires2FA")
    requires_2fa_setup: bool = Field(alias="requires2FASetup")
    user: User
    session: Session
    access_token: Jwt
    refresh_token: RefreshToken
    expires_in: Count
    token_type: Literal["Bearer"]
    token: Id
    redirect: bool
    verified: Literal[True] | None = ABSENT_IF_NONE

    @classmethod
    def of(
        cls, outcome: issue.SignedIn, fields: UserFields, *, lifetime: timedelta, verified: bool = False
    ) -> Self:
        """
        Make the record of *outcome*.

        Args:
            fields: The host's own fields of users.
            lifetime: Lifetime of access tokens.
            verified: Whether a second factor was proved.
        """
        session = outcome.issued.session
        return cls(
            requires_2fa=False,
            requires_2fa_setup=outcome.restricted,
            user=User.of(outcome.user, fields),
            session=Session.of(session, restricted_to=TWO_FACTOR_SETUP if outcome.restricted else None),
            access_token=outcome.access_token,
            refresh_token=outcome.issued.refresh_token,
            expires_in=int(lifetime.total_seconds()),
            token_type="Bearer",  # noqa: S106 - the name of a type
            token=session.id,
            redirect=False,
            verified=True if verified else None,
        )


class SecondFactorRequired(Record):
    """The password was correct; a second factor completes the sign-in."""

    requires_2fa: Literal[True] = Field(alias="requires2FA")
    two_factor_redirect: Literal[True]
    two_factor_methods: list[FactorMethod]
    challenge: Challenge
    expires_at: Timestamp

    @classmethod
    def of(cls, outcome: password.SecondFactorRequired) -> Self:
        """Make the record of *outcome*."""
        return cls(
            requires_2fa=True,
            two_factor_redirect=True,
            two_factor_methods=list(outcome.methods),
            challenge=outcome.challenge,
            expires_at=outcome.expires_at,
        )


class SignedUp(Record):
    """A new user, and the organization that was created with them."""

    user: User
    organization: Organization | None = ABSENT_IF_NONE

    @classmethod
    def of(
        cls, user: core_user.User, organization: core_organization.Organization | None, fields: UserFields
    ) -> Self:
        """Make the record of a sign-up; *fields* are the host's own fields of users."""
        owned = None if organization is None else Organization.of(organization, role=roles.OWNER)
        return cls(user=User.of(user, fields), organization=owned)


class UnconfirmedUser(Record):
    """A new user for better-auth's client, without a session until the address is confirmed."""

    token: None
    user: User


class ConfirmedUser(Record):
    """A user who just confirmed their address."""

    status: Literal[True]
    user: User


class ClientCurrentSession(Record):
    """The current session and its user as better-auth's client expects them."""

    session: ClientSession
    user: User


class RefreshedTokens(Record):
    """A new pair of tokens; ``expires_in`` is the lifetime of the access token in seconds."""

    access_token: Jwt
    refresh_token: RefreshToken
    expires_in: Count
    token_type: Literal["Bearer"]

    @classmethod
    def of(cls, refreshed: Refreshed, *, lifetime: timedelta) -> Self:
        """Make the record of *refreshed*; *lifetime* is the lifetime of access tokens."""
        return cls(
            access_token=refreshed.access_token,
            refresh_token=refreshed.refresh_token,
            expires_in=int(lifetime.total_seconds()),
            token_type="Bearer",  # noqa: S106 - the name of a type
        )
