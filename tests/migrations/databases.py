"""Looking into a database of either kind without the product."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import asyncpg
import pytest

from czo_auth.storage import migrate
from czo_auth.storage.sqlite_file import database_path
from czo_auth.storage.tables import DEFAULT_PREFIX, Tables

Rows = list[tuple[Any, ...]]


async def upgrade_to(
    revision: str, url: str, prefix: str = DEFAULT_PREFIX, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make an empty database by the migrations up to *revision*, as the product of that time did."""
    with monkeypatch.context() as then:
        then.setattr(migrate, "HEAD", revision)
        if url.startswith("sqlite:"):
            migrate.migrate_from_the_first(database_path(url), Tables(prefix))
        else:
            await migrate.upgrade(url, prefix)


async def execute(url: str, *statements: str) -> None:
    """Run *statements*."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(database_path(url), isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
        return
    server = await asyncpg.connect(url)
    try:
        for statement in statements:
            await server.execute(statement)
    finally:
        await server.close()


async def fetch_rows(url: str, question: str) -> Rows:
    """Read what *question* asks for."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(database_path(url))) as connection:
            return connection.execute(question).fetchall()
    server = await asyncpg.connect(url)
    try:
        found: Sequence[asyncpg.Record] = await server.fetch(question)
        return [tuple(row) for row in found]
    finally:
        await server.close()


def own_tables(url: str, prefix: str = DEFAULT_PREFIX) -> set[str]:
    """Name the tables that a migrated database of this kind has of ours."""
    tables = Tables(prefix)
    more = tables.sqlite_tables if url.startswith("sqlite:") else frozenset()
    return {*tables.metadata.tables, tables.version_table} | more


async def table_names(url: str) -> set[str]:
    """Name all tables."""
    if url.startswith("sqlite:"):
        question = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    else:
        question = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
    return {name for (name,) in await fetch_rows(url, question)}
