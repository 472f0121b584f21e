from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from czo_auth.core.transaction import Transactions
from czo_auth.storage import open_storage


@pytest.fixture
async def transactions(migrated_url: str) -> AsyncIterator[Transactions]:
    storage = open_storage(migrated_url)
    yield storage.transactions
    await storage.close()
