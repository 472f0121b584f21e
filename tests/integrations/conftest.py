"""A deployment in memory, for hosts that are built inside a test."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from czo_auth import Auth, Settings
from czo_auth.crypto.sealing import new_key_text

ORIGIN = "http://shop.test"


@pytest.fixture
async def auth(migrated_sqlite_url: str) -> AsyncIterator[Auth]:
    """A deployment that has not started; it is stopped at the end."""
    auth = Auth(
        Settings(
            database_url=migrated_sqlite_url,
            encryption_key=SecretStr(new_key_text()),
            base_url=ORIGIN,
            rate_limit_enabled=False,
        )
    )
    yield auth
    await auth.stop()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="czo_auth")
