"""Checks once, before any worker starts, what can refuse the start: settings, templates, key, database, migrations."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from czo_auth.cli.command import assembled, no_newer_schema, reporting
from czo_auth.errors import StartRefused

if TYPE_CHECKING:
    from czo_auth.auth import Auth
    from czo_auth.settings import Settings

FORKS = sys.platform == "linux"
"""On other systems, libraries do not survive a fork, so workers start as new processes."""


def check_start(settings: Settings) -> None:
    """
    Check that the deployment can start, and migrate its database.

    Where processes fork, a child process opens the database. Alembic, the migrations and the statements that they
    compile take 20 MB, which the supervisor and every worker would otherwise hold for as long as they run.

    Raises:
        StartRefused, StorageUnavailable: It cannot start.
        SystemExit: The same, reported by the child process.
    """
    auth = assembled(settings)
    if settings.pages_enabled:
        auth.pages  # noqa: B018 - refuses templates and a logo that cannot be used
    if FORKS:
        _open_in_a_child(auth)
    else:
        asyncio.run(_open(auth))


async def _open(auth: Auth) -> None:
    try:
        with no_newer_schema():
            await auth.open()
    finally:
        await auth.stop()


def _open_in_a_child(auth: Auth) -> None:
    child = multiprocessing.get_context("fork").Process(target=_open_and_report, args=(auth,), daemon=True)
    child.start()
    child.join()
    status = child.exitcode or 0
    if status < 0:
        name = signal.Signals(-status).name
        raise StartRefused(
            f"The process that opens the database was ended by {name}: start the server again."
        )
    if status:
        raise SystemExit(status)


def _open_and_report(auth: Auth) -> None:
    """Open the database in a process that ends with its parent, and only with it: that one handles the signals."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="czo-auth-parent", daemon=True).start()
    with reporting():
        asyncio.run(_open(auth))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    # A migration is one transaction, which the database rolls back.
    os._exit(0)
