"""Deployments for the tests of GraphQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.graphql.deployment import House, open_house


@pytest.fixture
async def house(migrated_sqlite_url: str) -> AsyncIterator[House]:
    """A deployment in development, on SQLite."""
    async with open_house(migrated_sqlite_url) as house:
        yield house


@pytest.fixture
async def closed_house(migrated_sqlite_url: str) -> AsyncIterator[House]:
    """A deployment in production, on SQLite."""
    async with open_house(migrated_sqlite_url, environment="production") as house:
        yield house


@pytest.fixture
async def any_house(migrated_url: str) -> AsyncIterator[House]:
    """A deployment in development, once on each kind of database."""
    async with open_house(migrated_url) as house:
        yield house
