"""Databases of today and of the first version: made once for the test process, and copied."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from czo_auth.storage.migrate import upgrade_blocking
from czo_auth.storage.sqlite_file import database_path
from tests.migrations.databases import upgrade_to
from tests.support.postgres import PostgresServer

FOLDER = Path(__file__).parent.parent / "fixtures" / "first_database"


def load_sqlite(url: str) -> None:
    with closing(sqlite3.connect(database_path(url))) as connection:
        connection.executescript((FOLDER / "database.sql").read_text())


async def load_postgres(url: str, folder: Path) -> None:
    """Insert the rows of the SQLite file into a PostgreSQL database of the same revision."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        await upgrade_to("0003", url, monkeypatch=monkeypatch)
    copy = f"sqlite:///{folder / 'copy.sqlite3'}"
    load_sqlite(copy)
    server = await asyncpg.connect(url)
    with closing(sqlite3.connect(database_path(copy))) as connection:
        connection.row_factory = sqlite3.Row
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'czo_auth_%'"
        tables = [str(row["name"]) for row in connection.execute(names)]
        try:
            await server.execute("SET session_replication_role = replica")  # no foreign keys, no triggers
            for table in tables:
                found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
                await server.execute(f"DELETE FROM {table}")
                await server.execute(
                    f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)",
                    json.dumps([await as_json(server, table, row) for row in found]),
                )
            sequence = "setval('czo_auth_events_sequence_seq', (SELECT max(sequence) FROM czo_auth_events))"
            await server.execute(f"SELECT {sequence}")
        finally:
            await server.close()


async def as_json(server: asyncpg.Connection, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return *row* with its JSON columns as objects: SQLite keeps them as text."""
    asked = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1"
    for (name,) in await server.fetch(f"{asked} AND data_type LIKE 'json%'", table):
        row[name] = None if row[name] is None else json.loads(row[name])
    return row


@pytest.fixture(scope="session")
def _first_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("first") / "first.sqlite3"
    load_sqlite(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _upgraded_file(_first_file: Path) -> Path:
    path = _first_file.with_name("upgraded.sqlite3")
    shutil.copy(_first_file, path)
    upgrade_blocking(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _first_database(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("first")
    return postgres_server.template("first", lambda url: asyncio.run(load_postgres(url, folder)))


@pytest.fixture(scope="session")
def _upgraded_database(postgres_server: PostgresServer, _first_database: str) -> str:
    name = postgres_server.create_database(template=_first_database)
    upgrade_blocking(postgres_server.url(name))
    return name


@pytest.fixture
def current_postgres_url(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """Address of a migrated PostgreSQL database whose tables a test may change."""
    with _copied(postgres_server, migrated_template) as url:
        yield url


@pytest.fixture(params=["migrated_sqlite_url", "current_postgres_url"], ids=["sqlite", "postgres"])
def current_url(request: pytest.FixtureRequest) -> str:
    """Address of a migrated database whose tables a test may change; the test runs once for each kind."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def first_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database that the first version filled, not yet upgraded; the test runs once for each kind."""
    with _copy(request, tmp_path, "first") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def upgraded_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same after the upgrade to today's revision, which takes longer than most tests."""
    with _copy(request, tmp_path, "upgraded") as url:
        yield url


@contextmanager
def _copy(request: pytest.FixtureRequest, folder: Path, which: str) -> Iterator[str]:
    if request.param == "sqlite":
        copied = folder / "database.sqlite3"
        shutil.copy(request.getfixturevalue(f"_{which}_file"), copied)
        yield f"sqlite:///{copied}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with _copied(server, request.getfixturevalue(f"_{which}_database")) as url:
        yield url


@contextmanager
def _copied(server: PostgresServer, template: str) -> Iterator[str]:
    name = server.create_database(template=template)
    yield server.url(name)
    server.drop_database(name)
