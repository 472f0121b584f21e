"""
Readers of other systems' databases, one module each.

A reader yields `czo_auth.core.flows.administration.import_records`. It writes nothing: its connection is read-only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final, Protocol

from czo_auth.core.flows.administration.import_records import SourceAccount, SourceOrganization
from czo_auth.importers.source import Source

SOURCES: Final[dict[str, str]] = {
    "better-auth": "better_auth",
    "better-auth-server": "better_auth",
    "django-allauth": "django_allauth",
    "django-mfa": "django_mfa",
    "django-mfa2": "django_mfa2",
    "django-otp": "django_otp",
    "fastapi-users": "fastapi_users",
}
"""The module that reads each source; ``json-lines`` is a file and read by `czo_auth.importers.json_lines`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderOptions:
    """
    Options of a reader.

    Attributes:
        secrets: better-auth's secrets by version; "" is the one without a version.
        users_table: The table of users; None for the source's usual name.
        decrypt: Decrypts stored secrets, if the project encrypts them.
    """

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    users_table: str | None = None
    decrypt: Callable[[str], str] | None = None


class Reader(Protocol):
    """Reads one source by id, in batches, so that memory does not grow with the source."""

    def accounts(self) -> AsyncIterator[SourceAccount | Unreadable]:
        """Read the users and their credentials."""

    def organizations(self) -> AsyncIterator[SourceOrganization]:
        """Read the organizations with their members; none if the source has no organizations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A user who cannot be read: their id there, and why."""

    source_id: str
    why: str


def reader_of(name: str, source: Source, options: ReaderOptions) -> Reader:
    """
    Return the reader of a source in `SOURCES`.

    Raises:
        SourceRefused: It needs an option that is missing.
    """
    module = import_module(f"czo_auth.importers.{SOURCES[name]}")
    reader: Reader = module.reader(source, options)
    return reader
