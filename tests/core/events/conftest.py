from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from czo_auth.core.transaction import Transactions
from czo_auth.storage import open_storage
from czo_auth.storage.migrate import upgrade


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    await upgrade(database_url)
    storage = open_storage(database_url)
    yield storage.transactions
    await storage.close()
