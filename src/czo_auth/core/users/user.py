"""A user as stored in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from czo_auth.core.actors import Grants
from czo_auth.core.users.email import find_canonical_email

MadeBy = Literal["operator", "import"]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """
    Attributes:
        email: Canonical form; unique.
        mailbox: The address as it was typed; None for a user who was made before revision 0007.
        external_id: The user's id in the system that they were imported from; unique.
        password_hash: PHC string, or None for a user who has no password yet. Never shown (hidden from ``repr``).
        actor_types: The actor types of the user, the default one included.
        credential_version: Grows whenever password, second factor or ban change; challenges are bound to it (S3).
        has_factor: Whether two factors are on: a password sign-in asks for a second step. A fact about rows, not about
            their readability (S13).
        has_totp, has_passkey: Which factors the user owns.
        renew_by: Until when the user should enroll their authenticator app again, as ``TotpFactor.renew_by``.
        passkeys_enabled_at: Since when passkeys count as second step; None while they are only a way to sign in.
        made_by: ``operator`` or ``import`` where someone else made the account; None where its user signed up.
        language: The language of mails to the user, from their browser at the last sign-in; None if unknown.
        secured_at: When the user last used a link "this was not me"; such links in earlier mails are no longer valid.
        fields: The host's own fields, as its model gives them.
        factors_kept_at: When a password reset first proved the address of an account whose second factors stayed
            nevertheless; None if that never happened, or they were removed since.
        actor_type_grants: When actor types were first granted that the account did not begin with.
    """

    id: str
    email: str
    name: str
    image: str | None
    email_verified: bool
    password_hash: str | None = field(repr=False)
    actor_types: frozenset[str]
    credential_version: int
    has_factor: bool
    banned_at: datetime | None
    created_at: datetime
    updated_at: datetime
    mailbox: str | None = None
    external_id: str | None = None
    has_totp: bool = False
    has_passkey: bool = False
    renew_by: datetime | None = None
    passkeys_enabled_at: datetime | None = None
    made_by: MadeBy | None = None
    language: str | None = None
    secured_at: datetime | None = None
    fields: Mapping[str, object] | None = None
    factors_kept_at: datetime | None = None
    actor_type_grants: Mapping[str, datetime] = field(default_factory=dict, hash=False)

    @property
    def mail_address(self) -> str:
        """Where mail goes: the address as it was typed, while it is still the one of *email*."""
        return mail_address(self.email, self.mailbox)

    @property
    def grants(self) -> Grants:
        """Since when the user holds their actor types."""
        return Grants(self.created_at, self.actor_type_grants)

    @property
    def owns_factor(self) -> bool:
        """Whether the user has what a requirement of two factors asks for: an authenticator app or a passkey."""
        return self.has_totp or self.has_passkey

    def __repr__(self) -> str:
        return f"User(id={self.id!r})"


def mail_address(email: str, mailbox: str | None) -> str:
    """Return where mail goes: *mailbox*, the address as it was typed, while it is still the one of *email*."""
    return email if mailbox is None or find_canonical_email(mailbox) != email else mailbox
