"""
Django's table of users, and code shared by the readers of its second-factor packages.

Source: Django 5.2 ``contrib/auth/models.py`` and ``hashers.py``.
"""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from czo_auth.core.flows.administration.import_records import (
    SourceAccount,
    SourceOrganization,
    SourcePasskey,
    SourceTotp,
)
from czo_auth.core.flows.administration.import_users import SourceUser
from czo_auth.crypto import base64url, passwords
from czo_auth.importers import ReaderOptions, Unreadable
from czo_auth.importers.source import Row, Source, SourceRefused, require_tables, time_of

USERS = "auth_user"


@dataclass(slots=True)
class Factors:
    """The credentials of one user; filled by a reader."""

    totp: SourceTotp | None = None
    passkeys: list[SourcePasskey] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    email: str | None = None
    email_verified: bool = False


class DjangoReader(ABC):
    """
    Reads users; a subclass reads their credentials.

    Attributes:
        tables: Tables that must exist besides the users'.
    """

    tables: tuple[str, ...] = ()

    def __init__(self, source: Source, options: ReaderOptions) -> None:
        self.source = source
        self.options = options
        self.users = options.users_table or USERS

    @abstractmethod
    async def add_factors(self, rows: Sequence[Row], factors: defaultdict[object, Factors]) -> None:
        """Read the credentials of the users in *rows*, by their ids."""

    async def accounts(self) -> AsyncIterator[SourceAccount | Unreadable]:
        """Read the users and their credentials."""
        await require_tables(self.source, self.users, *self.tables)
        key = "id" if "id" in await self.source.columns(self.users) else "user_id"
        async for rows in self.source.rows(self.users, key=key):
            factors: defaultdict[object, Factors] = defaultdict(Factors)
            await self.add_factors(rows, factors)
            for row in rows:
                yield account_of(row, factors[row[key]], key=key)

    async def organizations(self) -> AsyncIterator[SourceOrganization]:
        """Read nothing: Django has no organizations of its own."""
        none: tuple[SourceOrganization, ...] = ()
        for each in none:
            yield each

    def clear_secret(self, stored: str, notes: list[str]) -> str | None:
        """Decrypt a stored secret, if the project encrypts them."""
        if self.options.decrypt is None:
            return stored
        try:
            return self.options.decrypt(stored)
        except Exception as error:  # of the project's own code
            notes.append(f"the TOTP secret was not imported: --decrypt raised {type(error).__name__}")
            return None


def account_of(row: Row, factors: Factors, *, key: str = "id") -> SourceAccount | Unreadable:
    """Combine a row of the users' table with the user's credentials."""
    source_id = str(row[key])
    email = factors.email or row.get("email")
    if not email:
        return Unreadable(source_id=source_id, why="there is no address")
    notes = list(factors.notes)
    full_name = f"{row.get('first_name') or ''} {row.get('last_name') or ''}".strip()
    return SourceAccount(
        source_id=source_id,
        user=SourceUser(
            email=email,
            name=full_name or row.get("name") or row.get("username") or email.partition("@")[0],
            password_hash=password_hash(row.get("password"), notes),
            email_verified=factors.email_verified,
            banned=not row.get("is_active", True),
            created_at=time_of(row.get("date_joined")),
            external_id=source_id,
        ),
        totp=factors.totp,
        passkeys=tuple(factors.passkeys),
        notes=tuple(notes),
    )


def password_hash(stored: str | None, notes: list[str]) -> str | None:
    """Return Django's hash in our format; None, with a note, if it cannot be verified."""
    if not stored or stored.startswith("!"):
        return None
    algorithm, _, rest = stored.partition("$")
    plain = {"argon2": f"${rest}", "bcrypt": rest}.get(algorithm, stored)
    if passwords.is_verifiable(plain):
        return plain
    notes.append(f"the password was not imported: hashes of {algorithm} cannot be verified")
    return None


def base32_secret(text: str, notes: list[str]) -> bytes | None:
    """Read a TOTP secret in base32; None, with a note, if it is not one."""
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8), casefold=True)
    except (ValueError, binascii.Error):
        notes.append("the TOTP secret was not imported: it is not base32, perhaps encrypted (--decrypt)")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedCredential:
    """The part of the authenticator data that describes the new key."""

    aaguid: str
    credential_id: str
    public_key: str


def attested_credential(data: bytes) -> AttestedCredential:
    """
    Read attested credential data.

    Raises:
        SourceRefused: It is too short.

    Source: WebAuthn Level 3, section 6.5.1.
    """
    length = int.from_bytes(data[16:18], "big")
    credential_id, public_key = data[18 : 18 + length], data[18 + length :]
    if len(credential_id) != length or not public_key:
        raise SourceRefused("attested credential data is too short")
    digits = data[:16].hex()
    return AttestedCredential(
        aaguid=f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
        credential_id=base64url.encode(credential_id),
        public_key=base64url.encode(public_key),
    )
