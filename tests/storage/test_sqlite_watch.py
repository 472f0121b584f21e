"""The header that shows commits: it must miss none, and looking at it must not cost SQLite its locks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from czo_auth.storage import sqlite_watch
from czo_auth.storage.sqlite import SqliteLookup, SqliteStorage
from czo_auth.storage.tables import Tables
from tests.support.records import a_digest
from tests.support.rows import Rows

OTHER_WRITES = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0.2, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE czo_auth_users SET banned_at = coalesce(banned_at, 0) + 1")
    connection.execute("COMMIT")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.fixture
def migrated_url(migrated_sqlite_url: str) -> str:
    """Only SQLite has this header."""
    return migrated_sqlite_url


def storage_of(rows: Rows) -> SqliteStorage:
    assert isinstance(rows.storage, SqliteStorage)
    return rows.storage


def other_process_writes(path: str) -> str:
    command = [sys.executable, "-c", OTHER_WRITES, path]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def settled(lookup: SqliteLookup) -> object:
    """Give a stamp that comes from the header: the first one comes from a question to SQLite."""
    lookup.change_token()
    change_token = lookup.change_token()
    assert change_token is not None
    assert lookup._here.reader.header is not None
    return change_token


async def test_stamp_changes_with_commits_and_with_nothing_else(rows: Rows) -> None:
    await rows.user()
    lookup = storage_of(rows).lookup
    change_token = settled(lookup)
    await lookup.find_api_key(a_digest())
    assert lookup.change_token() is change_token
    assert other_process_writes(storage_of(rows).path) == ""
    after = lookup.change_token()
    assert after is not change_token
    await rows.user()
    assert lookup.change_token() is after
    assert other_process_writes(storage_of(rows).path) == ""
    assert lookup.change_token() not in (change_token, after)


async def test_commit_is_seen_after_the_log_was_folded_in(rows: Rows) -> None:
    await rows.user()
    lookup, path = storage_of(rows).lookup, storage_of(rows).path
    seen = []
    for _ in range(3):
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
        change_token = settled(lookup)
        other_process_writes(path)
        assert lookup.change_token() is not change_token
        seen.append(lookup.change_token())
    assert len(set(map(id, seen))) == 3


async def test_closed_and_opened_again_looks_at_the_new_file(rows: Rows) -> None:
    await rows.user()
    storage = storage_of(rows)
    change_token = settled(storage.lookup)
    await storage.close()
    assert sqlite_watch.header_of(storage.path) is None
    await storage.start()
    fresh = settled(storage.lookup)
    assert fresh is not change_token
    other_process_writes(storage.path)
    assert storage.lookup.change_token() is not fresh


async def test_looking_takes_no_lock_away(rows: Rows) -> None:
    await rows.user()
    path = storage_of(rows).path
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        lookup = SqliteLookup(path, Tables("czo_auth_"))
        settled(lookup)
        lookup.close()
    assert "locked" in other_process_writes(path)
    writer.execute("ROLLBACK")
    writer.close()
    assert other_process_writes(path) == ""


def test_what_belongs_to_deleted_files_is_closed(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.sqlite3")
    connection = sqlite3.connect(gone)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    sqlite_watch._close_deleted()
    before = len(sqlite_watch._handles)
    assert sqlite_watch.header_of(gone) is not None
    assert len(sqlite_watch._handles) == before + 1
    connection.close()
    assert sqlite_watch.header_of(gone) is None
    assert len(sqlite_watch._handles) <= before


def test_no_index_no_header(tmp_path: Path) -> None:
    assert sqlite_watch.header_of(str(tmp_path / "none.sqlite3")) is None
