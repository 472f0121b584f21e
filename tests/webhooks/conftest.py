"""A migrated database of each kind, ready for endpoints and events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.webhooks.dispatching import WebhookSetup, open_setup


@pytest.fixture
async def setup(migrated_url: str) -> AsyncIterator[WebhookSetup]:
    async with open_setup(migrated_url) as setup:
        yield setup
