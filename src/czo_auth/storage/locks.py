"""Locks with a name instead of a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, func, select

from czo_auth.crypto import tokens

_HOLD: Final = select(func.pg_advisory_xact_lock(bindparam("number", type_=BigInteger)))


def acquire_lock(connection: Connection, name: str) -> None:
    """
    Wait until no other transaction holds the lock *name*, and hold it until this one ends.

    On SQLite there is nothing to wait for: BEGIN IMMEDIATE lets one writer in at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_HOLD, {"number": lock_number(name)})


def lock_number(name: str) -> int:
    """Return the 64-bit number under which PostgreSQL knows the lock *name*; the same in every process."""
    number = int(tokens.digest_bytes(name.encode())[:16], 16)
    return number - (1 << 63)
