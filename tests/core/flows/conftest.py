"""Deployments on each kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from czo_auth.crypto.sealing import new_key_text
from tests.core.flows.deployment import Deployment, open_deployment


@pytest.fixture
async def deployment(migrated_url: str) -> AsyncIterator[Deployment]:
    async with open_deployment(migrated_url) as opened:
        yield opened


@pytest.fixture
async def two_deployments(migrated_url: str) -> AsyncIterator[tuple[Deployment, Deployment]]:
    """Two processes' worth of the same deployment: only the database keeps their changes apart."""
    key = new_key_text()
    async with (
        open_deployment(migrated_url, key=key) as first,
        open_deployment(migrated_url, key=key) as second,
    ):
        yield first, second
