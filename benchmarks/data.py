"""Databases with many keys: rows written directly, whose credentials are derived from a number."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from czo_auth.crypto import base64url, tokens
from czo_auth.settings import Settings
from czo_auth.storage.column_types import to_milliseconds

KEY = "k1:" + base64url.encode(hashlib.sha256(b"a key that is only used to measure").digest()) + "="
ISSUER = "http://127.0.0.1:8000"
SAMPLE = 5_000
"""Credentials that requests are made with; fewer than a process remembers."""
BUSY = 100
"""Credentials of the loads that are answered from the cache."""
KEYS_A_USER = 10
MEMBERS = 4
"""One key in this many belongs to an organization."""

Row = Sequence[Any]


def uuid(kind: str, number: int) -> str:
    """Derive an id from a number, in the order of the numbers, like UUIDv7."""
    tail = hashlib.sha256(f"{kind}{number}".encode()).hexdigest()
    return f"{number:012x}"[:8] + "-" + f"{number:012x}"[8:] + f"-7{tail[:3]}-8{tail[3:6]}-{tail[6:18]}"


def api_key(number: int) -> str:
    """Return the key with a number."""
    return tokens.DEFAULT_API_KEY + base64url.encode(hashlib.sha256(b"key %d" % number).digest())


def sampled(count: int) -> list[int]:
    """Choose numbers from the whole range."""
    return random.Random(count).sample(range(count), min(count, SAMPLE))


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write the credentials of a load."""
    path.write_text("".join(line + "\n" for line in lines))
    return path


def settings(url: str, **more: Any) -> Settings:
    """Give the settings of a deployment under measurement."""
    return Settings(
        database_url=url, encryption_key=SecretStr(KEY), base_url=ISSUER, access_token_minutes=60, **more
    )


def environment(url: str, **more: str) -> dict[str, str]:
    """Give the same as environment variables."""
    return {
        "AUTH_ENCRYPTION_KEY": KEY,
        "CZO_AUTH_DATABASE_URL": url,
        "CZO_AUTH_BASE_URL": ISSUER,
        "CZO_AUTH_ACCESS_TOKEN_MINUTES": "60",
        "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
        **more,
    }


@dataclass(frozen=True)
class Table:
    """Rows for one table, made when they are written."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Row]


def our_tables(keys: int, *, sessions: int, now: datetime) -> Iterator[Table]:
    """Make accounts with keys, and the sessions of the first accounts."""
    at, users = to_milliseconds(now), max(1, keys // KEYS_A_USER)
    later = to_milliseconds(now + timedelta(days=7))
    yield Table(
        "czo_auth_users",
        _words("id email name email_verified actor_types credential_version created_at updated_at"),
        (
            (uuid("u", n), f"u{n}@example.com", "Somebody", True, "customer merchant", 1, at, at)
            for n in range(users)
        ),
    )
    organizations = max(1, users // 10)
    yield Table(
        "czo_auth_organizations",
        _words("id name slug created_at updated_at"),
        ((uuid("o", n), f"Organization {n}", f"o{n}", at, at) for n in range(organizations)),
    )
    yield Table(
        "czo_auth_members",
        _words("id organization_id user_id role created_at"),
        ((uuid("m", n), uuid("o", n % organizations), uuid("u", n), "owner", at) for n in range(users)),
    )
    yield Table(
        "czo_auth_api_keys",
        _words(
            "id digest user_id organization_id actor_type name prefix scopes enabled created_at updated_at"
        ),
        _key_rows(keys, users, organizations, at),
    )
    yield Table(
        "czo_auth_sessions",
        _words("id digest user_id actor_type aal amr auth_time remembered created_at expires_at"),
        (
            (
                uuid("s", n),
                tokens.digest_bytes(b"s%d" % n),
                uuid("u", n % users),
                "customer",
                1,
                "pwd",
                at,
                True,
                at,
                later,
            )
            for n in range(sessions)
        ),
    )


def _digest(number: int) -> str:
    return tokens.digest_bytes(b"session %d" % number)


def _words(text: str) -> Sequence[str]:
    return text.split()


def _key_rows(keys: int, users: int, organizations: int, at: int) -> Iterator[Row]:
    # In the order of the digests, so that the indexes are written from left to right.
    digests = sorted((tokens.digest(api_key(number)), number) for number in range(keys))
    for place, (digest, number) in enumerate(digests):
        user = place % users
        organization = uuid("o", user % organizations) if place % MEMBERS == 0 else None
        prefix = api_key(number)[:8]
        scopes = "orders:read orders:write"
        yield (
            uuid("k", place),
            digest,
            uuid("u", user),
            organization,
            "customer",
            "Key",
            prefix,
            scopes,
            True,
            at,
            at,
        )


def better_auth_tables(keys: int, *, postgres: bool, python: bool, now: datetime) -> Iterator[Table]:
    """
    Make the accounts and keys of better-auth.

    Args:
        python: For the package on PyPI, whose times are SQLAlchemy's.
    """
    at: Any = now.replace(tzinfo=None) if postgres and python else now
    if not postgres:
        at = now.strftime("%Y-%m-%d %H:%M:%S.%f") if python else now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    users = max(1, keys // KEYS_A_USER)
    yield Table(
        "user",
        _words("id name email emailVerified createdAt updatedAt"),
        ((uuid("u", n), "Somebody", f"u{n}@example.com", True, at, at) for n in range(users)),
    )
    yield Table(
        "apikey",
        _words(
            "id configId name start referenceId key enabled rateLimitEnabled requestCount createdAt updatedAt"
        ),
        (
            (uuid("k", n), "default", "Key", key[:6], uuid("u", n % users), hashed, True, False, 0, at, at)
            for n, (hashed, key) in enumerate(
                sorted((_plain_hash(key), key) for key in map(api_key, range(keys)))
            )
        ),
    )


def _plain_hash(key: str) -> str:
    return base64url.encode(hashlib.sha256(key.encode()).digest())


def fill_sqlite(path: Path, tables: Iterable[Table]) -> None:
    """Write rows into a file whose tables exist."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute("BEGIN")
    for table in tables:
        marks = ", ".join("?" * len(table.columns))
        names = ", ".join(f'"{name}"' for name in table.columns)
        connection.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', table.rows)
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fill_postgres(url: str, tables: Iterable[Table]) -> None:
    """Copy rows into a database whose tables exist."""

    async def fill() -> None:
        connection = await asyncpg.connect(url)
        for table in tables:
            await connection.copy_records_to_table(
                table.name, records=table.rows, columns=list(table.columns)
            )
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        await connection.close()

    asyncio.run(fill())


def now() -> datetime:
    """Read the clock, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
