"""Passkeys as better-auth's client expects them, and the options of WebAuthn ceremonies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema

from czo_auth.core.flows.passkeys.register import Registered
from czo_auth.core.passkeys import passkey as core
from czo_auth.core.users.user_fields import UserFields
from czo_auth.rest.records.base import ABSENT_IF_NONE, Count, Id, Object, Record, Timestamp, token_schema
from czo_auth.rest.records.sessions import Session
from czo_auth.rest.records.sign_in import Jwt, RefreshToken, SignedIn
from czo_auth.rest.records.users import User

DeviceType = Literal["singleDevice", "multiDevice"]
Ceremony = Annotated[str, WithJsonSchema(token_schema("czw_"))]
Algorithm = Annotated[int, WithJsonSchema({"enum": [-7, -8, -257]})]


class Passkey(Record):
    """A passkey without its public key."""

    id: Id
    name: str | None
    credential_id: str = Field(alias="credentialID")
    user_id: Id
    aaguid: Id
    device_type: DeviceType
    backed_up: bool
    transports: str
    created_at: Timestamp
    last_used_at: Timestamp | None

    @classmethod
    def of(cls, passkey: core.Passkey, **more: Any) -> Self:
        """Make the record of *passkey*; *more* are the additional fields of a subclass."""
        return cls(
            id=passkey.id,
            name=passkey.name,
            credential_id=passkey.credential_id,
            user_id=passkey.user_id,
            aaguid=passkey.aaguid,
            device_type=passkey.device_type,
            backed_up=passkey.backed_up,
            transports=",".join(passkey.transports),
            created_at=passkey.created_at,
            last_used_at=passkey.last_used_at,
            **more,
        )


class RegisteredPasskey(Passkey):
    """A new passkey; with backup codes and the fields of `SignedIn` if it turned two-factor authentication on."""

    backup_codes: list[str] | None = ABSENT_IF_NONE
    requires_2fa: Annotated[Literal[False] | None, Field(alias="requires2FA")] = ABSENT_IF_NONE
    requires_2fa_setup: Annotated[bool | None, Field(alias="requires2FASetup")] = ABSENT_IF_NONE
    user: User | None = ABSENT_IF_NONE
    session: Session | None = ABSENT_IF_NONE
    access_token: Jwt | None = ABSENT_IF_NONE
    refresh_token: RefreshToken | None = ABSENT_IF_NONE
    expires_in: Count | None = ABSENT_IF_NONE
    token_type: Literal["Bearer"] | None = ABSENT_IF_NONE
    token: Id | None = ABSENT_IF_NONE
    redirect: bool | None = ABSENT_IF_NONE
    verified: Literal[True] | None = ABSENT_IF_NONE

    @classmethod
    def of_registered(cls, registered: Registered, fields: UserFields, *, lifetime: timedelta) -> Self:
        """
        Make the record of a new passkey.

        Args:
            fields: The host's own fields of users.
            lifetime: Lifetime of access tokens.
        """
        if registered.signed_in is None:
            return cls.of(registered.passkey)
        renewed = dict(SignedIn.of(registered.signed_in, fields, lifetime=lifetime))
        return cls.of(registered.passkey, backup_codes=list(registered.backup_codes), **renewed)


class PasskeyAnswer(Record):
    passkey: Passkey

    @classmethod
    def of(cls, passkey: core.Passkey) -> Self:
        """Answer with one passkey."""
        return cls(passkey=Passkey.of(passkey))


def passkeys_of(passkeys: Sequence[core.Passkey]) -> list[Passkey]:
    """Answer with a list of passkeys."""
    return [Passkey.of(each) for each in passkeys]


class CredentialDescriptor(Record):
    """A passkey that may sign, or that an authenticator must not create again."""

    id: str
    type: Literal["public-key"]
    transports: list[str] | None = ABSENT_IF_NONE


class PasskeyRequestOptions(Record):
    """What an authenticator needs to sign. Source: WebAuthn Level 3, section 5.5."""

    challenge: str
    timeout: Count
    rp_id: str
    user_verification: Literal["required"]
    ceremony: Ceremony
    allow_credentials: list[CredentialDescriptor] | None = ABSENT_IF_NONE


class RelyingParty(Record):
    """The relying party of a passkey."""

    name: str
    id: str


class PasskeyUser(Record):
    """The user, as the authenticator stores and shows them."""

    id: str
    name: str
    display_name: str


class CredentialParameters(Record):
    """A kind of key, by its COSE algorithm."""

    type: Literal["public-key"]
    alg: Algorithm


class AuthenticatorSelection(Record):
    """Which authenticators may create the passkey."""

    resident_key: Literal["preferred"]
    require_resident_key: bool
    user_verification: Literal["required"]
    authenticator_attachment: Literal["platform", "cross-platform"] | None = ABSENT_IF_NONE


class PasskeyCreationOptions(Record):
    """What an authenticator needs to create a passkey. Source: WebAuthn Level 3, section 5.4."""

    rp: RelyingParty
    user: PasskeyUser
    challenge: str
    pub_key_cred_params: list[CredentialParameters]
    timeout: Count
    exclude_credentials: list[CredentialDescriptor]
    authenticator_selection: AuthenticatorSelection
    attestation: Literal["none"]
    extensions: Object
    ceremony: Ceremony
