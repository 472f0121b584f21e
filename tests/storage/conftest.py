"""Storage of each kind, on a migrated database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from czo_auth.storage import Storage, open_storage
from tests.support.rows import Rows


@pytest.fixture
async def storage(migrated_url: str) -> AsyncIterator[Storage]:
    """Started storage of each kind."""
    storage = open_storage(migrated_url)
    await storage.start()
    yield storage
    await storage.close()


@pytest.fixture
def rows(storage: Storage) -> Rows:
    """Put rows into `storage`."""
    return Rows(storage)
