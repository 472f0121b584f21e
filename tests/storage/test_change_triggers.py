"""What moves the change token, and what does not: the same list on both databases."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing

import asyncpg
import pytest

from czo_auth.storage import Storage
from czo_auth.storage.change_triggers import WATCHED
from czo_auth.storage.lookup_sql import lookup_sql
from czo_auth.storage.sqlite import SqliteStorage
from czo_auth.storage.sqlite_file import database_path
from czo_auth.storage.tables import Tables
from tests.migrations.databases import execute
from tests.support.records import NOW
from tests.support.rows import Rows

Moved = Callable[[], Awaitable[bool]]

NEVER_CHANGED = {
    "users": {"id", "created_at"},
    "factors": {"user_id"},
    "passkeys": {"user_id"},
    "members": {"organization_id", "user_id"},
    # The time of the last use is read to be moved on; idle sessions are not remembered past their end.
    "sessions": {"id", "digest", "user_id", "lineage_id", "created_at", "last_used_at"},
    "api_keys": {"id", "digest", "user_id", "service_account_id", "last_used_at"},
    "service_accounts": {"id"},
}

REMOVALS = [
    "UPDATE czo_auth_users SET banned_at = 1",
    "UPDATE czo_auth_users SET actor_types = 'customer merchant'",
    """UPDATE czo_auth_users SET actor_type_grants = '{"merchant":1}'""",
    "UPDATE czo_auth_users SET passkeys_enabled_at = 1",
    "DELETE FROM czo_auth_users",
    "UPDATE czo_auth_sessions SET revoked_at = 1",
    "UPDATE czo_auth_sessions SET expires_at = 1",
    "UPDATE czo_auth_sessions SET organization_id = NULL, aal = 1",
    "UPDATE czo_auth_sessions SET factor_proved_at = 1",
    "DELETE FROM czo_auth_sessions",
    "UPDATE czo_auth_api_keys SET revoked_at = 1",
    "UPDATE czo_auth_api_keys SET enabled = false",
    "UPDATE czo_auth_api_keys SET scopes = ''",
    "UPDATE czo_auth_api_keys SET allowed_ips = '192.0.2.1'",
    "DELETE FROM czo_auth_api_keys",
    "UPDATE czo_auth_members SET role = 'viewer'",
    "UPDATE czo_auth_members SET two_factor_due_at = 1",
    "DELETE FROM czo_auth_members",
    "DELETE FROM czo_auth_factors",
    "UPDATE czo_auth_factors SET renew_by = 1",
    "UPDATE czo_auth_service_accounts SET enabled = false",
    "UPDATE czo_auth_service_accounts SET scopes = ''",
    "DELETE FROM czo_auth_service_accounts",
]
TAKES_NOTHING = [
    "UPDATE czo_auth_members SET two_factor_reminded_days = 7",
    "UPDATE czo_auth_api_keys SET last_used_at = 1, noticed_days = 7",
    "UPDATE czo_auth_users SET name = 'Grace', credential_version = 7, two_factor_reminded_days = 7",
    "UPDATE czo_auth_organizations SET name = 'Other'",
    "UPDATE czo_auth_service_accounts SET name = 'other', description = 'other', updated_at = 1",
    "UPDATE czo_auth_factors SET last_step = 99, renewal_reminded_days = 7",
]


@pytest.fixture
async def moved(rows: Rows, migrated_url: str) -> AsyncIterator[Moved]:
    """Whether the token moved since the last question, with a user who has one of everything."""
    ada = await rows.user()
    organization = await rows.organization({ada: "owner"})
    await rows.session(ada, organization_id=organization.id)
    await rows.key(ada, organization_id=organization.id)
    await rows.service_account(organization)
    await rows.factor(ada)
    if isinstance(rows.storage, SqliteStorage):
        lookup = rows.storage.lookup
        last = [lookup.change_token()]

        async def moved_on_sqlite() -> bool:
            before, last[0] = last[0], lookup.change_token()
            return last[0] is not before

        # The first comes from a question to SQLite, the next ones from the header.
        await moved_on_sqlite()
        yield moved_on_sqlite
        return
    heard: asyncio.Queue[object] = asyncio.Queue()
    listening = await asyncpg.connect(migrated_url)
    await listening.add_listener("czo_auth_changed", lambda *reported: heard.put_nowait(reported))

    async def moved_on_postgresql() -> bool:
        await listening.fetchval("SELECT 1")
        await asyncio.sleep(0.05)
        found = not heard.empty()
        while not heard.empty():
            heard.get_nowait()
        return found

    yield moved_on_postgresql
    await listening.close()


@pytest.mark.parametrize("statement", REMOVALS)
async def test_what_takes_a_right_away_moves_the_token(
    moved: Moved, migrated_url: str, statement: str
) -> None:
    await execute(migrated_url, statement)
    assert await moved()


@pytest.mark.parametrize("statement", TAKES_NOTHING)
async def test_what_takes_nothing_away_leaves_the_token(
    moved: Moved, migrated_url: str, statement: str
) -> None:
    await execute(migrated_url, statement)
    assert not await moved()


async def test_new_rows_leave_the_token(moved: Moved, rows: Rows) -> None:
    """Sign-ins, new keys and sign-ups cost nobody's memory."""
    bob = await rows.user()
    await rows.session(bob)
    await rows.key(bob)
    await rows.challenge(bob)
    assert not await moved()


async def test_new_factor_or_membership_moves_the_token(moved: Moved, rows: Rows) -> None:
    """A restricted session is remembered as restricted, and the role of a member is remembered too."""
    bob = await rows.user()
    await rows.factor(bob)
    assert await moved()
    await rows.organization({bob: "member"})
    assert await moved()
    passkey = await rows.passkey(bob)
    assert await moved()
    await rows.run(
        lambda tx: tx.passkeys.record_use(
            passkey.id, sign_count=1, backup_eligible=True, backed_up=False, now=NOW
        )
    )
    assert not await moved()
    await rows.run(lambda tx: tx.passkeys.delete(bob.id, passkey.id))
    assert await moved()


async def test_memberships_are_deleted_with_their_organization(moved: Moved, rows: Rows) -> None:
    """By the foreign key, whose deletions fire the triggers of the rows that go."""
    organization = await rows.organization({await rows.user(): "member"})
    assert await moved()
    await rows.run(lambda tx: tx.organizations.delete(organization.id, now=NOW))
    assert await moved()


def test_every_column_that_a_lookup_reads_is_watched() -> None:
    sql = lookup_sql("p_", placeholder="?")
    for text in (sql.api_key, sql.session, sql.session_by_id):
        aliases = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) p_(\w+) AS (\w+)", text)}
        for alias, column in re.findall(r"\b([a-z])\.(\w+)", text):
            table = aliases[alias]
            watched = {*WATCHED[table].columns, *NEVER_CHANGED[table]}
            assert column in watched, f"{table}.{column} is read by a lookup and moves no change token"


async def test_nothing_is_remembered_without_a_trigger(migrated_sqlite_url: str) -> None:
    with closing(sqlite3.connect(database_path(migrated_sqlite_url))) as connection:
        connection.execute("DROP TRIGGER czo_auth_changed_members_delete")
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    await storage.start()
    try:
        assert storage.lookup.change_token() is None
        await Rows(storage).user()
        assert storage.lookup.change_token() is None
    finally:
        await storage.close()


@pytest.mark.parametrize(
    ("now", "then"),
    [
        pytest.param("count + 1", "count + 0", id="counts nothing"),
        pytest.param("WHEN OLD.role IS NOT NEW.role OR", "WHEN 0 OR", id="ignores a column"),
        pytest.param("OF role, ", "OF ", id="watches a column less"),
    ],
)
async def test_nothing_is_remembered_while_a_trigger_is_not_as_this_version_makes_it(
    migrated_sqlite_url: str, now: str, then: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one of an older version, which has the same name."""
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    await storage.start()
    try:
        assert await remembers(storage)
        with closing(sqlite3.connect(database_path(migrated_sqlite_url))) as connection:
            name = "czo_auth_changed_members_update"
            question = "SELECT sql FROM sqlite_master WHERE name = ?"
            (definition,) = connection.execute(question, (name,)).fetchone()
            assert now in definition
            connection.execute(f"DROP TRIGGER {name}")
            connection.execute(definition.replace(now, then))
            assert not await remembers(storage)
            assert "nothing is cached" in caplog.text
            connection.execute(f"DROP TRIGGER {name}")
            connection.execute(definition)
        assert await remembers(storage)
    finally:
        await storage.close()


async def remembers(storage: SqliteStorage) -> bool:
    """Return whether there is a change token after a commit."""
    await Rows(storage).user()
    return storage.lookup.change_token() is not None


async def test_trigger_that_goes_while_the_server_runs_ends_the_memory(migrated_sqlite_url: str) -> None:
    storage: Storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    await storage.start()
    try:
        await Rows(storage).user()
        storage.lookup.change_token()
        assert storage.lookup.change_token() is not None
        await execute(migrated_sqlite_url, "DROP TRIGGER czo_auth_changed_sessions_update")
        assert storage.lookup.change_token() is None
    finally:
        await storage.close()


def test_names_of_triggers_follow_the_prefix() -> None:
    assert Tables("shop_").change_count_table == "shop_change_count"
