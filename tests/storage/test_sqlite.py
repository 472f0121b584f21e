"""SQLite: the file, its faults, and the threads and processes that use it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from czo_auth.core.errors import SlugTaken, StorageUnavailable, TablesMissing
from czo_auth.core.paging import PageQuery
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import UserFilter
from czo_auth.storage.migrate import upgrade
from czo_auth.storage.sqlite import SqliteStorage
from czo_auth.storage.sqlite_file import database_path
from tests.support.records import NOW, a_digest, a_user
from tests.support.rows import Rows

ROOT = Path(__file__).parents[2]
TIMEOUT = 1.0
NOBODY = 65534


@pytest.fixture
async def storage(migrated_sqlite_url: str) -> AsyncIterator[SqliteStorage]:
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_", timeout=TIMEOUT)
    await storage.start()
    yield storage
    await storage.close()


@pytest.fixture
def rows(storage: SqliteStorage) -> Rows:
    return Rows(storage)


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# the file
async def test_new_file_and_those_beside_it_are_the_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    before = os.umask(0)
    try:
        storage = SqliteStorage(f"sqlite:///{path}", table_prefix="a_")
        await storage.start()
        await storage.transactions.run(
            lambda tx: tx.connection.exec_driver_sql("CREATE TABLE t (c)")  # type: ignore[attr-defined]
        )
        modes = {name: mode(f"{path}{name}") for name in ("", "-wal", "-shm")}
        await storage.close()
    finally:
        os.umask(before)
    assert modes == {"": 0o600, "-wal": 0o600, "-shm": 0o600}


async def test_mode_of_a_file_that_is_there_is_left_alone(migrated_sqlite_url: str) -> None:
    path = database_path(migrated_sqlite_url)
    os.chmod(path, 0o640)
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    await storage.start()
    await storage.close()
    assert mode(path) == 0o640


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a?mode=ro", "sqlite:a", "mysql:///a"]
)
def test_address_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        SqliteStorage(url, table_prefix="a_")


def test_address_is_read_as_sqlalchemy_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_path("sqlite:///sub/a.db") == str(tmp_path / "sub/a.db")
    assert database_path("sqlite:////tmp/a%20b.db") == "/tmp/a%20b.db"


async def test_odd_characters_in_the_path_work(tmp_path: Path) -> None:
    path = tmp_path / "a b#c%41ü.sqlite3"
    storage = SqliteStorage(f"sqlite:///{path}", table_prefix="a_")
    await storage.start()
    await storage.close()
    assert path.exists()


async def test_connection_that_writes_is_set_up_for_safety(storage: SqliteStorage) -> None:
    def read(tx: Transaction) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]  # type: ignore[attr-defined]

    assert await storage.transactions.run(read) == ["wal", 2, 1]


# faults
async def test_step_that_reads_cannot_write(rows: Rows) -> None:
    with pytest.raises(StorageUnavailable):
        await rows.storage.transactions.read(lambda tx: tx.users.add(a_user()))
    assert await rows.run(lambda tx: tx.users.count()) == 0


async def test_file_locked_by_another_is_an_outage_for_writes_only(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.session(user, digest=digest)
    with closing(sqlite3.connect(database_path(rows.storage.url), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        writes = [rows.run(lambda tx: tx.users.add(a_user())) for _ in range(40)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        took = time.monotonic() - begun
        assert all(isinstance(outcome, StorageUnavailable) for outcome in outcomes)
        # All wait together: one after the other they would take this long on the calmest machine.
        assert TIMEOUT <= took < len(writes) * TIMEOUT
        assert await rows.storage.lookup.find_session(digest) is not None
        assert await rows.storage.transactions.read(lambda tx: tx.users.find(user.id)) == user
        await rows.storage.ping()
        other.execute("ROLLBACK")
    assert await rows.run(lambda tx: tx.users.count()) == 1
    await rows.user()


async def test_write_waits_for_a_lock_that_is_given_back_in_time(rows: Rows) -> None:
    with closing(sqlite3.connect(database_path(rows.storage.url), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(rows.user())
        await asyncio.sleep(TIMEOUT / 4)
        assert not writing.done()
        other.execute("ROLLBACK")
        await writing


async def test_full_disk_is_an_outage_that_ends(rows: Rows) -> None:
    await rows.user()

    def fill(tx: Transaction) -> None:
        connection = tx.connection  # type: ignore[attr-defined]
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        tx.users.add(a_user())
        tx.users.add(a_user(name="x" * 100_000))

    with pytest.raises(StorageUnavailable):
        await rows.run(fill)
    assert await rows.run(lambda tx: tx.users.count()) == 1
    await rows.user(name="x" * 100_000)


@pytest.fixture
def write_protected(migrated_sqlite_url: str) -> Iterator[str]:
    """Address of a file that this process may read and not write; root gives up its rights for it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder, "database.sqlite3")
        path.write_bytes(Path(database_path(migrated_sqlite_url)).read_bytes())
        path.chmod(0o444)
        os.chmod(folder, 0o777)
        user = os.geteuid()
        if user == 0:
            os.seteuid(NOBODY)
        try:
            yield f"sqlite:///{path}"
        finally:
            os.seteuid(user)


async def test_write_protected_file_can_be_read(write_protected: str) -> None:
    storage = SqliteStorage(write_protected, table_prefix="czo_auth_", timeout=TIMEOUT)
    await storage.start()
    await storage.ping()
    assert await storage.lookup.find_api_key(a_digest()) is None
    with pytest.raises(StorageUnavailable):
        await storage.transactions.run(lambda tx: tx.users.add(a_user()))
    assert await storage.transactions.read(lambda tx: tx.users.count()) == 0
    await storage.close()


async def test_file_that_comes_late_needs_no_restart(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    url = f"sqlite:///{folder}/a.sqlite3"
    storage = SqliteStorage(url, table_prefix="czo_auth_", timeout=TIMEOUT)
    rows = Rows(storage)
    with pytest.raises(StorageUnavailable):
        await storage.start()
    with pytest.raises(StorageUnavailable):
        await rows.user()
    folder.mkdir()
    await upgrade(url)
    user = await rows.user()
    assert await storage.transactions.read(lambda tx: tx.users.find(user.id)) == user
    await storage.close()


@pytest.mark.parametrize("what", ["missing folder", "no database", "a folder"])
async def test_wrong_path_is_an_outage(tmp_path: Path, what: str) -> None:
    path = tmp_path / "there" / "a.sqlite3"
    if what != "missing folder":
        path.parent.mkdir()
    if what == "no database":
        path.write_bytes(b"This is no database." * 1000)
    if what == "a folder":
        path.mkdir()
    storage = SqliteStorage(f"sqlite:///{path}", table_prefix="a_", timeout=TIMEOUT)
    with pytest.raises(StorageUnavailable):
        await storage.ping()
    with pytest.raises(StorageUnavailable):
        await storage.lookup.find_api_key(a_digest())
    with pytest.raises(StorageUnavailable):
        await storage.transactions.run(lambda tx: tx.users.count())
    await storage.close()


async def test_missing_tables_are_an_outage_that_says_so(sqlite_url: str) -> None:
    storage = SqliteStorage(sqlite_url, table_prefix="a_")
    await storage.start()
    with pytest.raises(TablesMissing, match="SERVICE_UNAVAILABLE"):
        await storage.ping()
    with pytest.raises(TablesMissing):
        await storage.lookup.find_api_key(a_digest())
    await storage.close()


async def test_refusal_of_a_step_passes_with_its_cause(rows: Rows) -> None:
    def step(tx: Transaction) -> None:
        tx.users.add(a_user())
        raise SlugTaken from LookupError("why")

    with pytest.raises(SlugTaken) as caught:
        await rows.run(step)
    assert isinstance(caught.value.__cause__, LookupError)
    assert await rows.run(lambda tx: tx.users.count()) == 0


async def test_cancelled_caller_leaves_the_others_in_order(rows: Rows) -> None:
    with closing(sqlite3.connect(database_path(rows.storage.url), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(rows.user()) for _ in range(3)]
        await asyncio.sleep(TIMEOUT / 8)
        for task in waiting[:2]:
            task.cancel()
        other.execute("ROLLBACK")
        await waiting[2]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError", "CancelledError", "User"]
    # The first was in hand already; whether it was kept is not promised. The second never began.
    assert await rows.run(lambda tx: tx.users.count()) in (1, 2)


# threads, loops and processes
async def test_step_that_comes_while_the_storage_closes_has_the_connection_to_itself(rows: Rows) -> None:
    """Two threads once used one connection, and closing it under the other crashed the process."""
    began, may_end, order = threading.Event(), threading.Event(), list[str]()

    def first(tx: Transaction) -> None:
        began.set()
        may_end.wait(20)
        order.append("first ended")

    def second(tx: Transaction) -> int:
        order.append("second began")
        return tx.users.count()

    running = asyncio.create_task(rows.run(first))
    await asyncio.to_thread(began.wait, 20)
    closing_down = asyncio.create_task(rows.storage.close())
    await asyncio.sleep(0.05)
    late = asyncio.create_task(rows.run(second))
    await asyncio.sleep(0.05)
    may_end.set()
    await asyncio.gather(running, closing_down)
    assert await late == 0
    assert order == ["first ended", "second began"]


def test_lookup_that_runs_while_the_storage_closes_ends_as_usual(migrated_sqlite_url: str) -> None:
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    stopping = threading.Event()
    errors: list[BaseException] = []

    def look_up() -> None:
        try:
            while not stopping.is_set():
                assert asyncio.run(storage.lookup.find_api_key(a_digest())) is None
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=look_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        storage.lookup.close()
        time.sleep(0.001)
    stopping.set()
    for thread in threads:
        thread.join()
    assert not errors


def test_one_storage_serves_one_loop_after_another(migrated_sqlite_url: str) -> None:
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    rows = Rows(storage)

    async def use(count: int) -> None:
        await storage.start()
        await rows.user()
        assert await storage.transactions.read(lambda tx: tx.users.count()) == count
        await storage.close()
        await storage.close()

    for count in (1, 2, 3):
        asyncio.run(use(count))


def test_many_threads_look_up_at_once(migrated_sqlite_url: str) -> None:
    storage = SqliteStorage(migrated_sqlite_url, table_prefix="czo_auth_")
    rows, digest = Rows(storage), a_digest()
    wrong: list[object] = []

    async def prepare() -> str:
        session = await rows.session(await rows.user(), digest=digest)
        return session.id

    async def look(session_id: str) -> None:
        for _ in range(300):
            found = await storage.lookup.find_session(digest)
            if (
                found is None
                or found.id != session_id
                or await storage.lookup.find_session(a_digest()) is not None
            ):
                wrong.append(found)

    session_id = asyncio.run(prepare())
    threads = [threading.Thread(target=lambda: asyncio.run(look(session_id))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    asyncio.run(storage.close())


async def test_lookup_sees_what_another_process_just_committed(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.session(user, digest=digest)
    with closing(sqlite3.connect(database_path(rows.storage.url), isolation_level=None)) as other:
        for number in range(50):
            other.execute("UPDATE czo_auth_users SET banned_at = ?", (None if number % 2 else 1,))
            found = await rows.storage.lookup.find_session(digest)
            assert found is not None
            assert found.banned is (number % 2 == 0)


async def test_lookup_leaves_no_snapshot_behind(rows: Rows) -> None:
    """A query that stays open would keep the write-ahead log from being folded in, and it would grow for ever."""
    user, digest = await rows.user(), a_digest()
    await rows.session(user, digest=digest)
    assert await rows.storage.lookup.find_session(digest) is not None
    with closing(sqlite3.connect(database_path(rows.storage.url))) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


FORKED = """
import asyncio, os, sys
from czo_auth.storage import open_storage
from tests.support.records import a_digest
from tests.support.rows import Rows

storage = open_storage(sys.argv[1])
rows = Rows(storage)

async def use():
    digest = a_digest()
    await rows.session(await rows.user(), digest=digest)
    assert await storage.lookup.find_session(digest) is not None
    return await storage.transactions.read(lambda tx: tx.users.count())

async def main():
    await storage.start()
    await use()

asyncio.run(main())
child = os.fork()
asyncio.run(use())
if child == 0:
    asyncio.run(storage.close())
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert asyncio.run(use()) == 4
asyncio.run(storage.close())
"""


@pytest.mark.deep
def test_storage_that_was_open_before_a_fork_works_in_both(migrated_sqlite_url: str) -> None:
    # Python warns of every fork in a process with threads; this is about what happens then.
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORKED]
    subprocess.run([*command, migrated_sqlite_url], cwd=ROOT, check=True, timeout=60)
    with closing(sqlite3.connect(database_path(migrated_sqlite_url))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM czo_auth_users").fetchone() == (4,)


async def test_time_of_a_lookup_does_not_depend_on_a_busy_writer(rows: Rows) -> None:
    """The lookup stays in its thread, so a step that takes its time does not hold it up."""
    user, digest = await rows.user(), a_digest()
    await rows.session(user, digest=digest)
    begun = threading.Event()
    release = threading.Event()

    def slow(tx: Transaction) -> None:
        tx.users.set_ban(user.id, banned_at=NOW, reason=None, now=NOW)
        begun.set()
        release.wait(5)

    writing = asyncio.create_task(rows.run(slow))
    await asyncio.to_thread(begun.wait, 5)
    found = await rows.storage.lookup.find_session(digest)
    assert found is not None
    assert not found.banned
    release.set()
    await writing
    found = await rows.storage.lookup.find_session(digest)
    assert found is not None
    assert found.banned


@pytest.mark.parametrize(
    ("name", "text"), [("Élodie Ünal", "éLODIE"), ("Élodie Ünal", "ünal"), ("ŁUKASZ", "łuk"), ("Ωmega", "ωM")]
)
async def test_search_ignores_case_beyond_ascii(rows: Rows, name: str, text: str) -> None:
    user = await rows.user(name=name)
    found = await rows.run(lambda tx: tx.users.search(UserFilter(text=text), page=PageQuery(limit=10)))
    assert [each.id for each in found] == [user.id]
    assert await rows.run(lambda tx: tx.users.count(UserFilter(text=text))) == 1
