"""Checks once, before any worker starts, what can refuse the start: settings, templates, key, database, migrations."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from czo_auth.cli.session import assembled, no_newer_schema

if TYPE_CHECKING:
    from czo_auth.auth import Auth
    from czo_auth.settings import Settings

FORKS = sys.platform == "linux"
"""On other systems, libraries do not survive a fork, so workers start as new processes."""


def check_start(settings: Settings) -> None:
    """
    Check that the deployment can start, and migrate its database.

    Raises:
        StartRefused, StorageUnavailable: It cannot start.
    """
    auth = assembled(settings)
    if settings.pages_enabled:
        auth.pages  # noqa: B018 - refuses templates and a logo that cannot be used
    asyncio.run(_open(auth))


async def _open(auth: Auth) -> None:
    try:
        with no_newer_schema():
            await auth.open()
    finally:
        await auth.stop()
