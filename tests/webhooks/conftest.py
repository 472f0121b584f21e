"""A migrated database of each kind, ready for endpoints and events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.webhooks.dispatching import Ground, ground_on


@pytest.fixture
async def ground(migrated_url: str) -> AsyncIterator[Ground]:
    async with ground_on(migrated_url) as ground:
        yield ground
