"""The migrations make the schema that the stores expect, and touch nothing else."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from czo_auth.core.errors import StorageUnavailable
from czo_auth.storage import migrate, migrations, open_storage
from czo_auth.storage.locks import lock_number
from czo_auth.storage.migrate import NewerSchema, current_revision, is_current, upgrade, upgrade_blocking
from czo_auth.storage.postgresql_server import PostgresServer
from czo_auth.storage.sqlite_file import connect_to_write, database_path
from czo_auth.storage.tables import Tables
from tests.migrations.databases import execute, fetch_rows, own_tables, table_names
from tests.support.rows import Rows

SCRIPTS = Path(migrations.__file__).parent
PREFIXES = ["czo_auth_", *(pytest.param(each, marks=pytest.mark.deep) for each in ("shop_", "_", "p" * 24))]
"""The default, one of a host's own, the shortest and the longest."""


async def differences(url: str, tables: Tables) -> list[object]:
    """Compare the database with the tables that the stores use."""

    def compare(connection: Connection) -> list[object]:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, parents: (
                name != tables.search_index and (kind != "table" or name in tables.metadata.tables)
            ),
        }
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, tables.metadata))

    if url.startswith("sqlite:"):
        engine = create_engine(f"sqlite:///{database_path(url)}", poolclass=NullPool)
        with engine.connect() as connection:
            return compare(connection)
    server = PostgresServer(url).engine(pool_size=1)
    try:
        async with server.connect() as connected:
            return await connected.run_sync(compare)
    finally:
        await server.dispose()


@pytest.mark.each_database
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_upgrade_makes_the_tables_of_the_stores(database_url: str, prefix: str) -> None:
    assert await current_revision(database_url, prefix) is None
    assert not await is_current(database_url, prefix)
    await upgrade(database_url, prefix)
    tables = Tables(prefix)
    assert await differences(database_url, tables) == []
    assert await table_names(database_url) == own_tables(database_url, prefix)
    assert await current_revision(database_url, prefix) == migrations.HEAD
    assert await is_current(database_url, prefix)


async def test_comparison_notices_a_difference(current_url: str) -> None:
    await execute(current_url, "DROP INDEX czo_auth_sessions_user_id_ix")
    assert len(await differences(current_url, Tables())) == 1


async def test_upgrade_of_what_is_current_changes_nothing(current_url: str) -> None:
    storage = open_storage(current_url)
    user = await Rows(storage).user()
    await upgrade(current_url)
    assert await storage.transactions.read(lambda tx: tx.users.find(user.id)) == user
    await storage.close()


def test_upgrade_works_without_an_event_loop(database_url: str) -> None:
    upgrade_blocking(database_url)
    upgrade_blocking(database_url)


async def test_two_prefixes_live_side_by_side(database_url: str) -> None:
    await upgrade(database_url, "a_")
    assert not await is_current(database_url, "b_")
    await upgrade(database_url, "b_")
    first, second = (
        open_storage(database_url, table_prefix="a_"),
        open_storage(database_url, table_prefix="b_"),
    )
    user = await Rows(first).user()
    assert await second.transactions.read(lambda tx: tx.users.find(user.id)) is None
    await first.close()
    await second.close()


async def test_tables_and_alembic_version_of_the_host_are_left_alone(database_url: str) -> None:
    await execute(
        database_url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('host42')",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE INDEX users_name ON users (name)",
        "INSERT INTO users VALUES (1, 'Ada')",
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY REFERENCES users)",
    )
    await upgrade(database_url)
    assert await fetch_rows(database_url, "SELECT version_num FROM alembic_version") == [("host42",)]
    assert await fetch_rows(database_url, "SELECT id, name FROM users") == [(1, "Ada")]
    theirs = {"alembic_version", "users", "sessions"}
    assert await table_names(database_url) == own_tables(database_url) | theirs


async def test_logging_of_the_host_is_left_alone(sqlite_url: str) -> None:
    mine, root = logging.getLogger("host.app"), logging.getLogger()
    before = list(root.handlers), root.level
    await upgrade(sqlite_url)
    assert (list(root.handlers), root.level) == before
    assert not mine.disabled


async def test_new_file_is_the_owners_only(sqlite_url: str) -> None:
    await upgrade(sqlite_url)
    assert stat.S_IMODE(os.stat(database_path(sqlite_url)).st_mode) == 0o600


async def test_asking_for_the_revision_makes_no_file(sqlite_url: str, tmp_path: Path) -> None:
    assert await current_revision(sqlite_url) is None
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


def test_revisions_are_one_line_that_ends_at_the_head() -> None:
    scripts = ScriptDirectory(str(SCRIPTS))
    assert scripts.get_heads() == [migrations.HEAD]
    assert [script.down_revision for script in scripts.walk_revisions()][-1] is None


async def test_database_of_a_newer_program_is_refused(current_url: str) -> None:
    await execute(current_url, "UPDATE czo_auth_version SET version_num = '9999', oldest_program = '9999'")
    assert not await is_current(current_url)
    with pytest.raises(NewerSchema):
        await upgrade(current_url)
    assert await current_revision(current_url) == "9999"


async def test_newer_program_may_let_this_one_run(current_url: str) -> None:
    await execute(
        current_url,
        f"UPDATE czo_auth_version SET version_num = '9999', oldest_program = '{migrations.HEAD}'",
    )
    assert await is_current(current_url)
    await upgrade(current_url)
    # What it does not know it does not touch.
    assert await current_revision(current_url) == "9999"


async def test_database_whose_program_said_nothing_is_of_its_own_revision_alone(current_url: str) -> None:
    await execute(current_url, "ALTER TABLE czo_auth_version DROP COLUMN oldest_program")
    assert await is_current(current_url)
    await execute(current_url, "UPDATE czo_auth_version SET version_num = '9999'")
    assert not await is_current(current_url)


def test_oldest_program_that_may_run_is_no_newer_than_this_one() -> None:
    known = {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    assert migrations.OLDEST_COMPATIBLE in known


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/a.db", "postgresql://u:hunter2@127.0.0.1:1/d"])
async def test_unreachable_database_is_an_outage(url: str) -> None:
    with pytest.raises(StorageUnavailable) as caught:
        await upgrade(url)
    assert "hunter2" not in str(caught.value)


async def test_another_process_that_migrates_for_too_long_is_an_outage(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough = migrate.TIMEOUT_SECONDS
    monkeypatch.setattr(migrate, "TIMEOUT_SECONDS", 0.3)
    if database_url.startswith("sqlite:"):
        with closing(sqlite3.connect(database_path(database_url), isolation_level=None)) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageUnavailable):
                await upgrade(database_url)
    else:
        holding = await PostgresServer(database_url).connect()
        await holding.execute(f"SELECT pg_advisory_lock({lock_number('czo_auth_version')})")
        with pytest.raises(StorageUnavailable):
            await upgrade(database_url)
        await holding.close()
    monkeypatch.setattr(migrate, "TIMEOUT_SECONDS", enough)
    await upgrade(database_url)


NEXT_REVISION = f"""
import sqlalchemy as sa
from alembic import context, op

revision = "next"
down_revision = "{migrations.HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix = context.config.attributes["tables"].prefix
    with op.batch_alter_table(prefix + "users") as users:
        users.add_column(sa.Column("phone", sa.Text()))
        users.alter_column("name", new_column_name="full_name")
"""


async def test_rows_survive_a_migration_that_makes_their_parents_table_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite such a table is dropped on the way; foreign keys must not empty those that refer to it."""
    await upgrade(database_url)
    storage = open_storage(database_url)
    rows = Rows(storage)
    user = await rows.user()
    session = await rows.session(user)
    await rows.refresh_token(session)
    await storage.close()

    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / "next.py").write_text(NEXT_REVISION)
    monkeypatch.setattr(migrate, "_SCRIPTS", str(scripts))
    monkeypatch.setattr(migrate, "HEAD", "next")
    await upgrade(database_url)
    assert await current_revision(database_url) == "next"
    assert await fetch_rows(database_url, "SELECT full_name, phone FROM czo_auth_users") == [("Ada", None)]
    for table in ("sessions", "refresh_tokens"):
        assert await fetch_rows(database_url, f"SELECT count(*) FROM czo_auth_{table}") == [(1,)]


async def test_migration_that_breaks_a_reference_is_undone(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade(sqlite_url)
    with closing(connect_to_write(database_path(sqlite_url))) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO czo_auth_attempts VALUES ('nobody', 1, NULL, 0)")
        connection.execute("DELETE FROM czo_auth_version")
        left = {"czo_auth_version", "czo_auth_attempts", "czo_auth_users"}
        for name in await table_names(sqlite_url) - left - Tables().sqlite_tables:
            connection.execute(f"DROP TABLE {name}")
    monkeypatch.setattr(migrate, "_migrate", lambda connection, tables: None)
    with pytest.raises(RuntimeError, match="czo_auth_attempts"):
        await upgrade(sqlite_url)
