"""A migrated database of each kind, ready for endpoints and events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.webhooks.dispatching import WebhookSetup, ground_on


@pytest.fixture
async def ground(migrated_url: str) -> AsyncIterator[WebhookSetup]:
    async with ground_on(migrated_url) as ground:
        yield ground
