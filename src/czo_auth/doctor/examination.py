"""All checks of one deployment, in the order in which a person would ask."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.flows.administration.overview import read_overview
from czo_auth.doctor import data, database, environment, network, rules, secrets_at_rest
from czo_auth.doctor.finding import Check, Finding
from czo_auth.settings import Settings
from czo_auth.storage import Storage, migrate, open_storage
from czo_auth.storage.migrations import HEAD
from czo_auth.storage.sqlite_file import database_path

CHECKS: Final[Sequence[Check]] = (
    *network.CHECKS,
    *secrets_at_rest.CHECKS,
    *database.CHECKS,
    *data.CHECKS,
    *rules.CHECKS,
    *environment.CHECKS,
)
"""Every check that there is."""


async def examine(
    settings: Settings, *, now: Callable[[], datetime], mail_by_host: bool = False
) -> AsyncIterator[Finding]:
    """
    Check the deployment that *settings* describe, and yield each finding as it is made.

    What cannot be reached is a finding, and the rest continues.

    Args:
        now: This machine's clock.
        mail_by_host: Whether the host's code sends the mails.
    """
    completed = secrets_at_rest.with_key_of_file(settings)
    for finding in network.check_network(settings):
        yield finding
    for finding in secrets_at_rest.check_secrets(settings, completed):
        yield finding
    async for finding in _examine_database(completed, now=now):
        yield finding
    for finding in rules.check_rules(settings):
        yield finding
    yield await rules.check_limits(settings)
    yield await environment.check_mail(settings, by_host=mail_by_host)
    yield environment.check_python()
    yield environment.check_packages()


async def _examine_database(settings: Settings, *, now: Callable[[], datetime]) -> AsyncIterator[Finding]:
    if settings.storage_url.startswith("sqlite:"):
        path = database_path(settings.storage_url)
        if not await asyncio.to_thread(os.path.exists, path):
            for finding in (*database.not_there_yet(path), *_unread("there is no database yet")):
                yield finding
            return
    try:
        storage = open_storage(
            settings.storage_url,
            table_prefix=settings.table_prefix,
            direct_url=settings.database_direct_url,
        )
    except (ValueError, RuntimeError) as error:
        for finding in (*database.wrong_address(f"{error}"), *_unread("there is no database")):
            yield finding
        return
    try:
        async for finding in _ask(storage, settings, now=now):
            yield finding
    finally:
        await storage.close()


async def _ask(
    storage: Storage, settings: Settings, *, now: Callable[[], datetime]
) -> AsyncIterator[Finding]:
    try:
        await storage.check_address()
        facts = await storage.facts(now=now)
        url, prefix = settings.direct_url, settings.table_prefix
        revision = await migrate.current_revision(url, table_prefix=prefix)
        may_run = await migrate.is_current(url, table_prefix=prefix)
    except StorageUnavailable as error:
        cause = getattr(error, "advice", None) or "; ".join(getattr(error, "__notes__", ()))
        for finding in (
            *database.unreachable(f"it does not answer: {cause}"),
            *_unread("the database does not answer"),
        ):
            yield finding
        return
    for finding in database.check_database(settings, facts, revision=revision, head=HEAD, may_run=may_run):
        yield finding
    try:
        actors = ActorRegistry(settings.actor_types)
        read_at = now()
        found = await read_overview(storage.transactions, actors, now=read_at)
        has_index = await storage.transactions.read(lambda tx: tx.users.has_search_index())
    except StorageUnavailable:
        yield database.USER_SEARCH.unknown("its tables cannot be read")
        yield database.check_clock(facts, ahead_of_record=None)
        for finding in _unread("its tables cannot be read"):
            yield finding
        return
    yield database.check_user_search(facts, has_index=has_index)
    newest = found.audit.last_at
    yield database.check_clock(facts, ahead_of_record=None if newest is None else read_at - newest)
    yield secrets_at_rest.check_sealed(
        secrets_at_rest.find_key_ring(settings), check_values=found.check_values, sealed=found.sealed
    )
    for finding in data.check_data(found, actors, rp_id=settings.policies().passkeys.rp_id, now=read_at):
        yield finding


def _unread(why: str) -> Sequence[Finding]:
    return (secrets_at_rest.SEALED.unknown(why), *data.unknown_data(why))
