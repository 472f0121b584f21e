"""The records of an import: accounts, factors, keys and organizations from another system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from czo_auth.core.flows.administration.import_users import SourceUser

Kind = Literal["user", "totp", "passkey", "apiKey", "organization", "member", "serviceAccount"]
Outcome = Literal["imported", "updated", "there", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTotp:
    """
    An authenticator app.

    Attributes:
        last_step: The last step that was spent there; None where that is not known.
    """

    secret: bytes = field(repr=False)
    last_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePasskey:
    """
    A WebAuthn credential; see `czo_auth.core.passkeys.passkey.Passkey`.

    Attributes:
        is_factor: Whether it was used as second step there.
    """

    name: str | None
    credential_id: str
    public_key: str
    sign_count: int
    aaguid: str
    backup_eligible: bool
    backed_up: bool
    transports: tuple[str, ...]
    user_handle: str
    created_at: datetime | None
    is_factor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceApiKey:
    """
    An API key, by the SHA-256 of its text in hexadecimal.

    Attributes:
        source_id: Its id in the other system.
        prefix: What its text begins with; it has to be registered as a retired form.
        shown: The first characters, if the other system stored them.
        expires_at: There; the registered form may end earlier.
    """

    source_id: str
    digest: str = field(repr=False)
    prefix: str
    shown: str
    name: str
    scopes: tuple[str, ...]
    enabled: bool
    expires_at: datetime | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccount:
    """
    A user with what belongs to them.

    Attributes:
        source_id: Their id in the other system.
        notes: What the source could not provide, one sentence each.
    """

    source_id: str
    user: SourceUser
    totp: SourceTotp | None = None
    passkeys: tuple[SourcePasskey, ...] = ()
    api_keys: tuple[SourceApiKey, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOrganization:
    """
    An organization with its members.

    Attributes:
        members: The source's ids of users, and a role of ours for each.
        api_keys: Those that belong to the organization itself, and to no user.
    """

    source_id: str
    name: str
    slug: str
    metadata: Mapping[str, object] | None
    members: tuple[tuple[str, str], ...]
    api_keys: tuple[SourceApiKey, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The result for one account or organization: an outcome for each part, and notes about what was not imported."""

    outcomes: tuple[tuple[Kind, Outcome], ...]
    notes: tuple[str, ...]
