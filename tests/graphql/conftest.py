"""Deployments for the tests of GraphQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.graphql.deployment import Deployment, open_house


@pytest.fixture
async def deployment(migrated_sqlite_url: str) -> AsyncIterator[Deployment]:
    """A deployment in development, on SQLite."""
    async with open_house(migrated_sqlite_url) as deployment:
        yield deployment


@pytest.fixture
async def closed_house(migrated_sqlite_url: str) -> AsyncIterator[Deployment]:
    """A deployment in production, on SQLite."""
    async with open_house(migrated_sqlite_url, environment="production") as deployment:
        yield deployment


@pytest.fixture
async def any_house(migrated_url: str) -> AsyncIterator[Deployment]:
    """A deployment in development, once on each kind of database."""
    async with open_house(migrated_url) as deployment:
        yield deployment
