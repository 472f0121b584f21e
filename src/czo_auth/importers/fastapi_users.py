"""
fastapi-users' table of users. It has no second factors and no API keys.

Source: fastapi-users 15.0.5, fastapi-users-db-sqlalchemy 7.0.0.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from czo_auth.core.flows.administration.import_records import SourceAccount, SourceOrganization
from czo_auth.core.flows.administration.import_users import SourceUser
from czo_auth.crypto import passwords
from czo_auth.importers import Reader, ReaderOptions, Unreadable
from czo_auth.importers.source import Source, require_tables, time_of


def reader(source: Source, options: ReaderOptions) -> Reader:
    """Make the reader."""
    return _FastapiUsers(source, options)


class _FastapiUsers:
    def __init__(self, source: Source, options: ReaderOptions) -> None:
        self._source = source
        self._users = options.users_table or "user"

    async def accounts(self) -> AsyncIterator[SourceAccount | Unreadable]:
        await require_tables(self._source, self._users)
        async for rows in self._source.rows(self._users):
            for row in rows:
                notes: list[str] = []
                stored = row["hashed_password"]
                if not passwords.is_verifiable(stored):
                    stored = None
                    notes.append("the password was not imported: its hash cannot be verified")
                yield SourceAccount(
                    source_id=str(row["id"]),
                    user=SourceUser(
                        email=row["email"],
                        name=row.get("name") or row.get("full_name") or row["email"].partition("@")[0],
                        password_hash=stored,
                        email_verified=bool(row["is_verified"]),
                        banned=not row["is_active"],
                        created_at=time_of(row.get("created_at")),
                        external_id=str(row["id"]),
                    ),
                    notes=tuple(notes),
                )

    async def organizations(self) -> AsyncIterator[SourceOrganization]:
        none: tuple[SourceOrganization, ...] = ()
        for each in none:
            yield each
