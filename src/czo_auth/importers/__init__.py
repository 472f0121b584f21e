"""
Readers of other systems' databases, one module each.

A reader gives `czo_auth.core.flows.administration.import_records`, and writes nothing: its connection cannot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final, Protocol

from czo_auth.core.flows.administration.import_records import KnownAccount, KnownOrganization
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
    What a reader may need to be told.

    Attributes:
        secrets: better-auth's secrets by version; "" is the one without a version.
        users_table: Where users are; None for the source's own name.
        decrypt: Undoes the encryption that a project added to stored secrets.
    """

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    users_table: str | None = None
    decrypt: Callable[[str], str] | None = None


class Reader(Protocol):
    """Reads one source, by id and in batches, so that memory does not grow with it."""

    def accounts(self) -> AsyncIterator[KnownAccount | Unreadable]:
        """Read the users with what belongs to them."""

    def organizations(self) -> AsyncIterator[KnownOrganization]:
        """Read the organizations with their members; none where the source has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A user who cannot be read: their id there, and why."""

    source_id: str
    why: str


def reader_of(name: str, source: Source, options: ReaderOptions) -> Reader:
    """
    Make the reader of a source of `SOURCES`.

    Raises:
        SourceRefused: It needs an option that is missing.
    """
    module = import_module(f"czo_auth.importers.{SOURCES[name]}")
    reader: Reader = module.reader(source, options)
    return reader
