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
from tests.storage.rows import Things, a_digest

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


def storage_of(things: Things) -> SqliteStorage:
    assert isinstance(things.storage, SqliteStorage)
    return things.storage


def other_process_writes(path: str) -> str:
    command = [sys.executable, "-c", OTHER_WRITES, path]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def settled(lookup: SqliteLookup) -> object:
    """Give a stamp that comes from the header: the first one comes from a question to SQLite."""
    lookup.stamp()
    stamp = lookup.stamp()
    assert stamp is not None
    assert lookup._here.reader.header is not None
    return stamp


async def test_stamp_changes_with_commits_and_with_nothing_else(things: Things) -> None:
    await things.user()
    lookup = storage_of(things).lookup
    stamp = settled(lookup)
    await lookup.find_api_key(a_digest())
    assert lookup.stamp() is stamp
    assert other_process_writes(storage_of(things).path) == ""
    after = lookup.stamp()
    assert after is not stamp
    await things.user()
    assert lookup.stamp() is after
    assert other_process_writes(storage_of(things).path) == ""
    assert lookup.stamp() not in (stamp, after)


async def test_commit_is_seen_after_the_log_was_folded_in(things: Things) -> None:
    await things.user()
    lookup, path = storage_of(things).lookup, storage_of(things).path
    seen = []
    for _ in range(3):
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
        stamp = settled(lookup)
        other_process_writes(path)
        assert lookup.stamp() is not stamp
        seen.append(lookup.stamp())
    assert len(set(map(id, seen))) == 3


async def test_closed_and_opened_again_looks_at_the_new_file(things: Things) -> None:
    await things.user()
    storage = storage_of(things)
    stamp = settled(storage.lookup)
    await storage.close()
    assert sqlite_watch.header_of(storage.path) is None
    await storage.start()
    fresh = settled(storage.lookup)
    assert fresh is not stamp
    other_process_writes(storage.path)
    assert storage.lookup.stamp() is not fresh


async def test_looking_takes_no_lock_away(things: Things) -> None:
    await things.user()
    path = storage_of(things).path
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
