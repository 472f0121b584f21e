"""A migrated database of each kind, made by copying one that was migrated once."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from czo_auth.storage import Storage, open_storage
from czo_auth.storage.migrate import upgrade_blocking
from czo_auth.storage.tables import Tables
from tests.storage.things import Things
from tests.support.postgres import PostgresServer

EMPTY = "".join(f"DELETE FROM {table.name};" for table in reversed(Tables().metadata.sorted_tables)) + (
    "ALTER SEQUENCE czo_auth_events_sequence_seq RESTART"
)


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "database.sqlite3"
    upgrade_blocking(f"sqlite:///{path}")
    return path


@pytest.fixture
def migrated_sqlite_url(_migrated_file: Path, tmp_path: Path) -> str:
    """Address of a migrated SQLite file without rows."""
    path = tmp_path / "database.sqlite3"
    shutil.copy(_migrated_file, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def _migrated_database(postgres_server: PostgresServer) -> str:
    name = postgres_server.create_database()
    upgrade_blocking(postgres_server.url(name))
    return name


@pytest.fixture
def migrated_postgres_url(postgres_server: PostgresServer, _migrated_database: str) -> str:
    """Address of a migrated PostgreSQL database without rows: emptied, since a new one takes a second."""
    postgres_server.execute(EMPTY, database=_migrated_database)
    return postgres_server.url(_migrated_database)


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Address of a migrated database without rows; the test runs once for each kind."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
async def storage(migrated_url: str) -> AsyncIterator[Storage]:
    """Started storage of each kind."""
    storage = open_storage(migrated_url)
    await storage.start()
    yield storage
    await storage.close()


@pytest.fixture
def things(storage: Storage) -> Things:
    """Put rows into `storage`."""
    return Things(storage)
