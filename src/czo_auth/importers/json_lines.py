"""
The format for every other system: one JSON object per line, a user or, if it has a slug, an organization.

Reference: docs/how-to/move-in.md.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from czo_auth.core.flows.administration.import_records import (
    SourceAccount,
    SourceApiKey,
    SourceOrganization,
    SourcePasskey,
    SourceTotp,
)
from czo_auth.core.flows.administration.import_users import SourceUser
from czo_auth.core.limits import MAX_IMPORTED_LINE_BYTES, MAX_PASSKEY_NAME
from czo_auth.crypto import base64url, totp
from czo_auth.crypto.passkeys import MAX_TRANSPORTS
from czo_auth.rest.models import Email, Name, OpenBody

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Time = Annotated[AwareDatetime | None, Field(strict=False)]
_NO_AAGUID: Final = "00000000-0000-0000-0000-000000000000"


class UserLine(OpenBody):
    """A user with their password hash; further fields are the host's own."""

    email: Email
    name: Name
    password_hash: str | None
    email_verified: bool = False
    actor_types: tuple[str, ...] = ()
    banned: bool = False
    created_at: Time = None
    external_id: str | None = None

    def as_source(self) -> SourceUser:
        """Return the input of the flow."""
        return SourceUser(
            email=self.email,
            name=self.name,
            password_hash=self.password_hash,
            email_verified=self.email_verified,
            actor_types=self.actor_types,
            banned=self.banned,
            created_at=_to_milliseconds(self.created_at),
            external_id=self.external_id,
            fields=self.user_fields,
        )


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class PasskeyPart(_Part):
    """A WebAuthn credential; bytes are base64url."""

    name: str | None = Field(default=None, max_length=MAX_PASSKEY_NAME)
    credential_id: str
    public_key: str
    sign_count: int = Field(default=0, ge=0)
    aaguid: str = _NO_AAGUID
    backup_eligible: bool = False
    backed_up: bool = False
    transports: tuple[str, ...] = Field(default=(), max_length=MAX_TRANSPORTS)
    user_handle: str = ""
    created_at: Time = None
    is_factor: bool = True

    def as_source(self) -> SourcePasskey:
        """Return the input of the flow."""
        for text in (self.credential_id, self.public_key, self.user_handle):
            base64url.decode(text)
        values = {**self.model_dump(), "created_at": _to_milliseconds(self.created_at)}
        return SourcePasskey(**values)


class ApiKeyPart(_Part):
    """An API key by its digest."""

    id: str
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    prefix: str
    name: str
    scopes: tuple[str, ...] = ()
    enabled: bool = True
    expires_at: Time = None
    created_at: Time = None

    def as_source(self) -> SourceApiKey:
        """Return the input of the flow."""
        return SourceApiKey(
            source_id=self.id,
            digest=self.digest,
            prefix=self.prefix,
            shown=self.prefix,
            name=self.name,
            scopes=self.scopes,
            enabled=self.enabled,
            expires_at=_to_milliseconds(self.expires_at),
            created_at=_to_milliseconds(self.created_at),
        )


class AccountLine(UserLine):
    """A user with their credentials; `external_id` is their id in the other system."""

    external_id: str
    totp_secret: str | None = None
    passkeys: tuple[PasskeyPart, ...] = ()
    api_keys: tuple[ApiKeyPart, ...] = ()

    def account(self) -> SourceAccount:
        """
        Return the input of the flow.

        Raises:
            ValueError: A value does not have the right encoding.
        """
        secret = None if self.totp_secret is None else totp.decode_secret(self.totp_secret)
        return SourceAccount(
            source_id=self.external_id,
            user=self.as_source(),
            totp=None if secret is None else SourceTotp(secret=secret),
            passkeys=tuple(each.as_source() for each in self.passkeys),
            api_keys=tuple(each.as_source() for each in self.api_keys),
        )


class OrganizationLine(_Part):
    """An organization; its members are users of earlier lines or runs."""

    id: str
    name: str
    slug: str
    metadata: dict[str, Any] | None = None
    members: dict[str, str] = Field(default_factory=dict)
    api_keys: tuple[ApiKeyPart, ...] = ()

    def organization(self) -> SourceOrganization:
        """Return the input of the flow."""
        return SourceOrganization(
            source_id=self.id,
            name=self.name,
            slug=self.slug,
            metadata=self.metadata,
            members=tuple(self.members.items()),
            api_keys=tuple(each.as_source() for each in self.api_keys),
        )


def read_users(stream: BinaryIO) -> Iterator[tuple[int, SourceUser | str]]:
    """Read lines of users with their numbers: a user, or a message that says why the line is refused."""
    for number, line in _numbered(stream):
        if isinstance(line, str):
            yield number, line
            continue
        try:
            yield number, UserLine.model_validate_json(line).as_source()
        except ValidationError as error:
            yield number, _sentence(error)


def read_accounts(stream: BinaryIO) -> Iterator[tuple[int, SourceAccount | SourceOrganization | str]]:
    """Read lines with their numbers: an account, an organization, or a message that says why the line is refused."""
    for number, line in _numbered(stream):
        if isinstance(line, str):
            yield number, line
            continue
        try:
            if _is_organization(line):
                yield number, OrganizationLine.model_validate_json(line).organization()
            else:
                yield number, AccountLine.model_validate_json(line).account()
        except ValidationError as error:
            yield number, _sentence(error)
        except ValueError:
            yield number, "a secret or key is not in the encoding that it should be in."


def _is_organization(line: bytes) -> bool:
    import json

    try:
        read = json.loads(line)
    except ValueError:
        return False
    return isinstance(read, dict) and "slug" in read and "email" not in read


def _numbered(stream: BinaryIO) -> Iterator[tuple[int, bytes | str]]:
    for number, line in enumerate(_lines_of(stream), start=1):
        if len(line) > MAX_IMPORTED_LINE_BYTES:
            yield number, f"it has more than {MAX_IMPORTED_LINE_BYTES} bytes."
        elif line.strip():
            yield number, line


def _sentence(error: ValidationError) -> str:
    problem: ErrorDetails = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else "this is not a JSON object."


def _lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Read lines, of each a little more than the limit: a line that is too long still counts as one."""
    first = True
    while line := stream.readline(MAX_IMPORTED_LINE_BYTES + 1):
        if first:
            # A byte-order mark, as some editors and spreadsheets write it.
            line, first = line.removeprefix(codecs.BOM_UTF8), False
        rest = line
        while len(rest) > MAX_IMPORTED_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_IMPORTED_LINE_BYTES + 1)
        yield line


def _to_milliseconds(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
