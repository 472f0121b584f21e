"""Deployments for the tests of GraphQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.graphql.deployment import Deployment, open_deployment


@pytest.fixture
async def deployment(migrated_sqlite_url: str) -> AsyncIterator[Deployment]:
    """A deployment in development, on SQLite."""
    async with open_deployment(migrated_sqlite_url) as deployment:
        yield deployment


@pytest.fixture
async def production_deployment(migrated_sqlite_url: str) -> AsyncIterator[Deployment]:
    """A deployment in production, on SQLite."""
    async with open_deployment(migrated_sqlite_url, environment="production") as deployment:
        yield deployment


@pytest.fixture
async def each_deployment(migrated_url: str) -> AsyncIterator[Deployment]:
    """A deployment in development, once on each kind of database."""
    async with open_deployment(migrated_url) as deployment:
        yield deployment
