"""Deployments for the tests of GraphQL."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from czo_auth.storage.migrate import upgrade_blocking
from tests.graphql.house import House, open_house


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "database.sqlite3"
    upgrade_blocking(f"sqlite:///{path}")
    return path


@pytest.fixture
def migrated_url(_migrated_file: Path, tmp_path: Path) -> str:
    """Address of a migrated SQLite file without rows: copied, since migrating takes longer than most tests."""
    path = tmp_path / "database.sqlite3"
    shutil.copy(_migrated_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
async def house(migrated_url: str) -> AsyncIterator[House]:
    """A deployment in development, on SQLite."""
    async with open_house(migrated_url) as house:
        yield house


@pytest.fixture
async def closed_house(migrated_url: str) -> AsyncIterator[House]:
    """A deployment in production, on SQLite."""
    async with open_house(migrated_url, environment="production") as house:
        yield house


@pytest.fixture
async def any_house(database_url: str) -> AsyncIterator[House]:
    """A deployment in development, once on each kind of database."""
    async with open_house(database_url) as house:
        yield house
