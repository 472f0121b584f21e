"""What lies in a deployment's database: read, and changed, past the product."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Any

import asyncpg

from czo_auth.storage.tables import DEFAULT_PREFIX, Tables
from tests.contract.people import Account

PREFIX = "czo_auth_"
TABLES = tuple(sorted(name.removeprefix(DEFAULT_PREFIX) for name in Tables().metadata.tables))
"""Every table of the deployment, so that a search for traces misses none."""

Rows = list[tuple[Any, ...]]


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def sqlite_file(url: str) -> str:
    return url.removeprefix("sqlite:///")


async def sql(url: str, statement: str, *values: object) -> Rows:
    """
    Run *statement* over a connection of its own, committed at its end.

    Args:
        statement: With ``$1``, ``$2`` … for the values, and ``{}`` before the name of each table.
    """
    statement = statement.replace("{}", PREFIX)
    if is_sqlite(url):
        marked = re.sub(r"\$([0-9])", r"?\1", statement)
        with closing(sqlite3.connect(sqlite_file(url), timeout=10, isolation_level=None)) as connection:
            return connection.execute(marked, values).fetchall()
    connected: Any = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connected.fetch(statement, *values)]
    finally:
        await connected.close()


async def everything(url: str) -> str:
    """Give all rows of all tables as one text, to look for what must not be there."""
    return "\n".join([repr(row) for table in TABLES for row in await sql(url, f"SELECT * FROM {{}}{table}")])


async def stored_secret(url: str, account: Account) -> str:
    ((sealed,),) = await sql(url, "SELECT sealed_secret FROM {}factors WHERE user_id = $1", account.id)
    return str(sealed)


async def spoil(url: str, account: Account) -> str:
    """Flip one character of the ciphertext."""
    sealed = await stored_secret(url, account)
    place = len(sealed) - 10
    spoilt = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
    await sql(url, "UPDATE {}factors SET sealed_secret = $1 WHERE user_id = $2", spoilt, account.id)
    return spoilt
