"""
People, their sessions and an audit log, made by the database itself: ten million rows in minutes.

The rows have the form of real ones, but follow from a number: all people have the same password, and the hashes of the
audit log chain nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks import data
from czo_auth.crypto import passwords
from czo_auth.storage.column_types import to_milliseconds
from tests.integrations.acting import PASSWORD

SESSIONS_EACH = 10
RECORDS_EACH = 10
RARE = "auth.user.banned"
RARE_RECORDS = 200
"""Records of the rare action, however many there are in all: more than a page of them."""
_KINDS = {"user": 1, "session": 2, "record": 3, "expired": 4, "key": 5}
_FILLED = "'czo_auth_users', 'czo_auth_sessions', 'czo_auth_audit'"
_SQLITE_INDEXES = (
    f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql != '' AND tbl_name IN ({_FILLED})"
)
_POSTGRESQL_INDEXES = f"""
SELECT indexname AS name, indexdef AS made FROM pg_indexes WHERE tablename IN ({_FILLED})
AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
"""Indexes that no constraint needs: made from sorted rows at the end, they cost a fraction."""
_DAYS = 86_400_000
_BATCH = 500_000


@dataclass(frozen=True)
class _Dialect:
    """How a database makes numbers and texts of them."""

    hexadecimal: str
    numbers: str
    true: str
    json: str

    def hex(self, number: str, width: int) -> str:
        return self.hexadecimal.format(number=number, width=width)

    def id(self, kind: str, number: str) -> str:
        """Return SQL for a UUID that sorts by its number."""
        parts = [
            self.hex(f"({number}) >> 16", 8),
            self.hex(f"({number}) & 65535", 4),
            f"'7{_KINDS[kind]:03x}'",
            "'8000'",
            self.hex(number, 12),
        ]
        return " || '-' || ".join(parts)


_SQLITE = _Dialect(
    hexadecimal="printf('%0{width}x', {number})",
    numbers="WITH RECURSIVE each(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM each WHERE n < {last})",
    true="1",
    json="'{}'",
)
_POSTGRESQL = _Dialect(
    hexadecimal="lpad(to_hex(({number})::bigint), {width}, '0')",
    numbers="WITH each(n) AS (SELECT generate_series({first}::bigint, {last}::bigint))",
    true="true",
    json="'{}'::json",
)


def fill(url: str, *, users: int) -> None:
    """Write *users*, ten sessions and ten audit records for each, into a database whose tables exist."""
    _run(url, _statements(_dialect_of(url), users), then="VACUUM (ANALYZE)", indexes_last=True)


def add_expired_sessions(url: str, count: int, *, since: int) -> None:
    """Write sessions that housekeeping deletes; *since* is the number that they begin at."""
    dialect, at = _dialect_of(url), to_milliseconds(data.now())
    _run(url, [_sessions(dialect, "expired", since, since + count - 1, "1", at - 9 * _DAYS, at - 3 * _DAYS)])


def add_keys(
    url: str, user_id: str, *, dead: int, live: int, since: int, organization_id: str | None = None
) -> None:
    """Write API keys of a user, or of their part in an organization; the dead ones expired yesterday."""
    dialect, at = _dialect_of(url), to_milliseconds(data.now())
    bound = "NULL" if organization_id is None else f"'{organization_id}'"
    names = "id, digest, user_id, organization_id, actor_type, name, prefix, scopes, enabled, expires_at"
    names += ", created_at, updated_at"

    # One after the other, as keys are made: of one instant, a page would have to sort them all.
    made_at = f"{at - 9 * _DAYS} + n % {_DAYS}"

    def keys(first: int, count: int, expires_at: int) -> str:
        values = (
            f"{dialect.id('key', 'n')}, {dialect.hex('n', 64)}, '{user_id}', {bound}, 'customer', 'Key', "
            f"'czo_abcd', '', {dialect.true}, {expires_at}, {made_at}, {made_at}"
        )
        numbers = dialect.numbers.format(first=first, last=first + count - 1)
        return f"INSERT INTO czo_auth_api_keys ({names}) {numbers} SELECT {values} FROM each"

    some = [(since, dead, at - _DAYS), (since + dead, live, at + 30 * _DAYS)]
    _run(url, [keys(first, count, expires_at) for first, count, expires_at in some if count])


def user_id(url: str, number: int) -> str:
    """Return the id of the user with a number."""
    return f"{number >> 16:08x}-{number & 65535:04x}-7{_KINDS['user']:03x}-8000-{number:012x}"


def email(number: int) -> str:
    """Return the address of the user with a number."""
    return f"person{number}@example.com"


def _dialect_of(url: str) -> _Dialect:
    return _SQLITE if url.startswith("sqlite") else _POSTGRESQL


def _statements(dialect: _Dialect, users: int) -> list[str]:
    at = to_milliseconds(data.now())
    hashed = passwords.hash_password(PASSWORD)
    names = "id, email, name, email_verified, password_hash, actor_types, credential_version, created_at, updated_at"
    values = (
        f"{dialect.id('user', 'n')}, 'person' || n || '@example.com', 'Person ' || n, {dialect.true}, '{hashed}', "
        f"'customer', 1, {at}, {at}"
    )
    made = [
        f"INSERT INTO czo_auth_users ({names}) {dialect.numbers.format(first=first, last=last)} "
        f"SELECT {values} FROM each"
        for first, last in _batches(users)
    ]
    for first, last in _batches(users * SESSIONS_EACH):
        made.append(_sessions(dialect, "session", first, last, str(users), at, at + 7 * _DAYS))
    for first, last in _batches(users * RECORDS_EACH):
        made.append(_records(dialect, first + 1, last + 1, users, at))
    return made


def _batches(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + _BATCH, count) - 1) for first in range(0, count, _BATCH)]


def _sessions(
    dialect: _Dialect, kind: str, first: int, last: int, users: str, created_at: int, expires_at: int
) -> str:
    names = "id, digest, user_id, actor_type, aal, amr, auth_time, remembered, created_at, expires_at"
    # In the order of the digests, so that their index is written from left to right.
    digest = f"'{_KINDS[kind]}' || {dialect.hex('n', 63)}"
    values = (
        f"{dialect.id(kind, 'n')}, {digest}, {dialect.id('user', f'n % {users}')}, 'customer', 1, 'pwd', "
        f"{created_at}, {dialect.true}, {created_at}, {expires_at}"
    )
    numbers = dialect.numbers.format(first=first, last=last)
    return f"INSERT INTO czo_auth_sessions ({names}) {numbers} SELECT {values} FROM each"


def _records(dialect: _Dialect, first: int, last: int, users: int, at: int) -> str:
    names = "sequence, id, at, action, outcome, user_id, details, actor_kind, actor_user_id, version"
    names += ", previous_hash, hash"
    user = dialect.id("user", f"n % {users}")
    values = (
        f"n, {dialect.id('record', 'n')}, {at} - ({last} - n), "
        f"CASE WHEN n % {users * RECORDS_EACH // RARE_RECORDS} = 0 THEN '{RARE}' ELSE 'auth.sign_in' END, "
        f"CASE WHEN n % 100 = 0 THEN 'failure' ELSE 'success' END, {user}, {dialect.json}, 'user', {user}, 2, "
        f"{dialect.hex('n - 1', 64)}, {dialect.hex('n', 64)}"
    )
    numbers = dialect.numbers.format(first=first, last=last)
    return f"INSERT INTO czo_auth_audit ({names}) {numbers} SELECT {values} FROM each"


def _run(url: str, statements: list[str], *, then: str | None = None, indexes_last: bool = False) -> None:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(Path(url.removeprefix("sqlite:///")), isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        indexes = connection.execute(_SQLITE_INDEXES).fetchall() if indexes_last else []
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for statement in [*statements, *(made for _, made in indexes)]:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return
    asyncio.run(_run_on_postgresql(url, statements, then, indexes_last=indexes_last))


async def _run_on_postgresql(
    url: str, statements: list[str], then: str | None, *, indexes_last: bool
) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET maintenance_work_mem = '1GB'")
        indexes = await connection.fetch(_POSTGRESQL_INDEXES) if indexes_last else []
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        for statement in [*statements, *(index["made"] for index in indexes), *([then] if then else [])]:
            await connection.execute(statement)
    finally:
        await connection.close()
