"""PostgreSQL: its faults, and the loops and processes that use it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from czo_auth.core.errors import SlugTaken, StorageUnavailable, TablesMissing
from czo_auth.core.transaction import Transaction
from czo_auth.storage.errors import StorageError
from czo_auth.storage.lookup_sql import lookup_sql
from czo_auth.storage.postgresql import PostgresStorage
from czo_auth.storage.postgresql_server import PostgresServer as PostgresAddress
from tests.support.postgres import PostgresServer
from tests.support.records import a_digest, a_user, an_id
from tests.support.rows import Rows

TIMEOUT = 1.5
IDLE = "idle_in_transaction_session_timeout"


def setting_of(tx: Transaction, name: str) -> str:
    connection: Any = tx.users._connection  # type: ignore[attr-defined]
    return str(connection.exec_driver_sql(f"SHOW {name}").scalar())


@pytest.fixture
async def storage(migrated_postgres_url: str) -> AsyncIterator[PostgresStorage]:
    storage = PostgresStorage(
        migrated_postgres_url, table_prefix="czo_auth_", pool_size=2, lookup_pool_size=1, timeout=TIMEOUT
    )
    await storage.start()
    yield storage
    await storage.close()


@pytest.fixture
def rows(storage: PostgresStorage) -> Rows:
    return Rows(storage)


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which runs again after the test, whatever the test did to it."""
    yield postgres_server
    postgres_server.resume()
    if not postgres_server.processes:
        postgres_server.restart()


async def everything_refuses(rows: Rows, *, within: float) -> None:
    """All three ways in say that it is an outage, and say it soon."""
    for call in (
        lambda: rows.run(lambda tx: tx.users.add(a_user())),
        lambda: rows.storage.transactions.read(lambda tx: tx.users.count()),
        lambda: rows.storage.lookup.find_api_key(a_digest()),
        rows.storage.ping,
    ):
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await call()
        assert time.monotonic() - begun < within


async def everything_works(rows: Rows) -> None:
    digest = a_digest()
    session = await rows.session(await rows.user(), digest=digest)
    found = await rows.storage.lookup.find_session(digest)
    assert found is not None
    assert found.id == session.id
    await rows.storage.ping()


# addresses
@pytest.mark.parametrize("over", ["tcp", "socket"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
async def test_address_of_each_kind_works(
    migrated_postgres_url: str, postgres_server: PostgresServer, over: str, scheme: str
) -> None:
    database = migrated_postgres_url.rpartition("/")[2]
    url = postgres_server.url(database, over=over).replace("postgresql:", f"{scheme}:")
    storage = PostgresStorage(url, table_prefix="czo_auth_")
    await storage.start()
    await everything_works(Rows(storage))
    await storage.close()


async def test_wrong_password_and_database_are_outages_that_tell_nothing(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    good = postgres_server.url("postgres")
    for url in (good.replace(postgres_server.password, "hunter2"), f"{good}_none"):
        storage = PostgresStorage(url, table_prefix="czo_auth_")
        with pytest.raises(StorageUnavailable):
            await storage.start()
        await storage.close()
    assert "hunter2" not in caplog.text
    assert postgres_server.password not in caplog.text


async def test_missing_tables_are_an_outage_that_says_so(postgres_url: str) -> None:
    storage = PostgresStorage(postgres_url, table_prefix="a_")
    await storage.start()
    with pytest.raises(TablesMissing):
        await storage.ping()
    with pytest.raises(TablesMissing):
        await storage.lookup.find_api_key(a_digest())
    await storage.close()


# faults
async def test_stopped_server_is_an_outage_that_ends(rows: Rows, server: PostgresServer) -> None:
    await everything_works(rows)
    server._halt()
    await everything_refuses(rows, within=TIMEOUT * 4)
    server.restart()
    await everything_works(rows)


async def test_restarted_server_is_not_even_noticed(rows: Rows, server: PostgresServer) -> None:
    for _ in range(2):
        await asyncio.gather(everything_works(rows), everything_works(rows))
        server.restart()
    await everything_works(rows)


@pytest.mark.deep
async def test_frozen_server_is_an_outage_that_ends(rows: Rows, server: PostgresServer) -> None:
    await everything_works(rows)
    server.pause()
    await everything_refuses(rows, within=TIMEOUT * 6)
    server.resume()
    await everything_works(rows)


async def test_server_ends_what_a_frozen_process_left_open(migrated_postgres_url: str) -> None:
    """Its locks would stop everybody else until TCP gives the machine up."""
    storage = PostgresStorage(migrated_postgres_url, table_prefix="czo_auth_")
    shown = await storage.transactions.read(
        lambda tx: [setting_of(tx, name) for name in ("statement_timeout", IDLE)]
    )
    assert shown == ["5s", "10s"]
    await storage.close()


async def test_transaction_that_waited_too_long_is_an_outage_that_ends(migrated_postgres_url: str) -> None:
    storage = PostgresStorage(
        f"{migrated_postgres_url}?options=-c%20{IDLE}%3D200", table_prefix="czo_auth_", timeout=TIMEOUT
    )

    def freeze(tx: Transaction) -> None:
        tx.users.count()
        time.sleep(0.5)
        tx.users.count()

    with pytest.raises(StorageUnavailable):
        await storage.transactions.run(freeze)
    await everything_works(Rows(storage))
    await storage.close()


async def test_server_without_free_connections_is_an_outage_that_ends(server: PostgresServer) -> None:
    server.execute("DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN PASSWORD 'x' CONNECTION LIMIT 1")
    url = f"postgresql://limited:x@127.0.0.1:{server.port}/postgres"
    storage = PostgresStorage(url, table_prefix="czo_auth_")
    other = await asyncpg.connect(url)
    with pytest.raises(StorageUnavailable):
        await storage.start()
    await other.close()
    await asyncio.sleep(0.1)
    await storage.start()
    await storage.close()


async def test_server_that_is_read_only_can_be_read(rows: Rows, server: PostgresServer) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.session(user, digest=digest)
    database = rows.storage.url.rpartition("/")[2]
    await rows.storage.close()
    server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    try:
        with pytest.raises(StorageUnavailable):
            await rows.user()
        assert await rows.storage.transactions.read(lambda tx: tx.users.find(user.id)) == user
        assert await rows.storage.lookup.find_session(digest) is not None
    finally:
        server.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    await rows.storage.close()
    await everything_works(rows)


async def test_row_held_by_another_for_too_long_is_an_outage(rows: Rows) -> None:
    user = await rows.user()
    other = await asyncpg.connect(rows.storage.url)
    async with other.transaction():
        await other.execute("SELECT 1 FROM czo_auth_users FOR UPDATE")
        with pytest.raises(StorageUnavailable):
            await rows.run(lambda tx: tx.users.lock(user.id))
        assert await rows.storage.transactions.read(lambda tx: tx.users.find(user.id)) == user
    await other.close()
    assert await rows.run(lambda tx: tx.users.lock(user.id)) == user


async def test_all_connections_in_use_for_too_long_is_an_outage(rows: Rows) -> None:
    user = await rows.user()
    other = await asyncpg.connect(rows.storage.url)
    async with other.transaction():
        await other.execute("SELECT 1 FROM czo_auth_users FOR UPDATE")
        waiting = [rows.run(lambda tx: tx.users.lock(user.id)) for _ in range(6)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    await other.close()
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    await everything_works(rows)


async def test_step_is_repeated_when_its_connection_breaks_before_the_commit(rows: Rows) -> None:
    user, runs = a_user(), []

    def step(tx: Transaction) -> bool:
        runs.append(tx)
        added = tx.users.add(user)
        if len(runs) == 1:
            tx.connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")  # type: ignore[attr-defined]
        return added

    assert await rows.run(step)
    assert len(runs) == 2
    assert await rows.run(lambda tx: tx.users.find(user.id)) == user


async def test_lookup_is_repeated_when_its_connection_breaks(rows: Rows, server: PostgresServer) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.session(user, digest=digest)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'czo-auth'"
    for _ in range(5):
        assert await rows.storage.lookup.find_session(digest) is not None
        server.execute(kill)


async def test_connections_that_the_server_ends_are_not_even_noticed(
    rows: Rows, migrated_postgres_url: str
) -> None:
    """The server's last word comes a moment before the end of the connection; a caller in between asks again."""
    ended, stop = 0, asyncio.Event()

    async def end_them() -> None:
        nonlocal ended
        connection = await asyncpg.connect(migrated_postgres_url)
        try:
            for _ in range(150):
                if ended > 10:
                    break
                ended += len(
                    await connection.fetch(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND application_name = 'czo-auth' AND state = 'idle'"
                    )
                )
                await asyncio.sleep(0.2)
        finally:
            stop.set()
            await connection.close()

    async def ask() -> None:
        while not stop.is_set():
            assert await rows.storage.lookup.find_session(a_digest()) is None
            await rows.storage.transactions.read(lambda tx: tx.users.count())
            await asyncio.sleep(0)

    await asyncio.gather(end_them(), ask(), ask())
    assert ended > 10


async def test_refusal_of_a_step_passes_with_its_cause(rows: Rows) -> None:
    def step(tx: Transaction) -> None:
        tx.users.add(a_user())
        raise SlugTaken from LookupError("why")

    with pytest.raises(SlugTaken) as caught:
        await rows.run(step)
    assert isinstance(caught.value.__cause__, LookupError)
    assert await rows.run(lambda tx: tx.users.count()) == 0


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
async def test_text_that_postgresql_cannot_hold_is_our_fault_and_stays_unsaid(rows: Rows, name: str) -> None:
    with pytest.raises((StorageError, UnicodeEncodeError)) as caught:
        await rows.user(name=name, email="hunter2@example.com")
    assert "hunter2" not in str(caught.value)
    await everything_works(rows)


async def test_cancelled_callers_keep_no_connection(rows: Rows) -> None:
    user = await rows.user()
    other = await asyncpg.connect(rows.storage.url)
    async with other.transaction():
        await other.execute("SELECT 1 FROM czo_auth_users FOR UPDATE")
        for _ in range(6):
            waiting = asyncio.create_task(rows.run(lambda tx: tx.users.lock(user.id)))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    await other.close()
    await everything_works(rows)


async def test_cancelled_lookups_keep_no_connection(rows: Rows) -> None:
    for _ in range(20):
        looking = asyncio.create_task(rows.storage.lookup.find_api_key(a_digest()))
        await asyncio.sleep(0)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
    await everything_works(rows)


# levels
async def test_reading_step_sees_one_moment_and_cannot_write(rows: Rows) -> None:
    user = await rows.user()
    other = await asyncpg.connect(rows.storage.url)
    read: list[Any] = []

    def step(tx: Transaction) -> None:
        read.append(tx.users.count())
        tx.connection.exec_driver_sql("SELECT pg_sleep(0.3)")  # type: ignore[attr-defined]
        read.append(tx.users.count())

    reading = asyncio.create_task(rows.storage.transactions.read(step))
    await asyncio.sleep(0.1)
    await other.execute("DELETE FROM czo_auth_users WHERE id = $1", user.id)
    await other.close()
    await reading
    assert read == [1, 1]
    with pytest.raises(StorageUnavailable):
        await rows.storage.transactions.read(lambda tx: tx.users.add(a_user()))
    # The connection goes back as it came.
    await asyncio.gather(*(rows.user() for _ in range(4)))


async def test_rows_that_refer_to_a_locked_user_can_be_added(rows: Rows) -> None:
    user = await rows.user()
    other = await asyncpg.connect(rows.storage.url)
    async with other.transaction():
        await other.execute("SELECT 1 FROM czo_auth_users FOR NO KEY UPDATE")
        await rows.session(user)
    await other.close()


# loops
def test_one_storage_serves_one_loop_after_another(migrated_postgres_url: str) -> None:
    storage = PostgresStorage(migrated_postgres_url, table_prefix="czo_auth_")

    async def use() -> None:
        await storage.start()
        await everything_works(Rows(storage))
        await storage.close()
        await storage.close()

    for _ in range(3):
        asyncio.run(use())


def test_one_storage_serves_loops_in_several_threads(migrated_postgres_url: str) -> None:
    storage = PostgresStorage(migrated_postgres_url, table_prefix="czo_auth_")
    all_done = threading.Barrier(3)

    async def use(*, closes: bool) -> None:
        for _ in range(10):
            await everything_works(Rows(storage))
        await asyncio.to_thread(all_done.wait)
        if closes:
            await storage.close()
        # The loops of the others still run, so their connections can be closed from here.
        await asyncio.to_thread(all_done.wait)

    threads = [
        threading.Thread(target=lambda closes=closes: asyncio.run(use(closes=closes)))
        for closes in (True, False, False)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def test_prefix_keeps_two_products_in_one_database_apart(rows: Rows) -> None:
    other = PostgresStorage(rows.storage.url, table_prefix="other_")
    with pytest.raises(TablesMissing):
        await other.lookup.find_session_by_id(an_id())
    await other.close()


async def test_lookups_are_planned_once_and_by_their_indexes(migrated_postgres_url: str) -> None:
    """Else a question hashes all users for the sake of a few keys, and takes longer the more users there are."""
    sql = lookup_sql("czo_auth_", placeholder="ANY($1)")
    digests = [a_digest() for _ in range(30)]
    pool = await PostgresAddress(migrated_postgres_url).pool(size=1)
    try:
        async with pool.acquire() as connection:
            for statement in (sql.api_key, sql.session, sql.session_by_id):
                plan = "\n".join(line[0] for line in await connection.fetch(f"EXPLAIN {statement}", digests))
                assert "Seq Scan" not in plan
                assert "Hash" not in plan
                for _ in range(2):
                    await connection.fetch(statement, digests)
            planned = await connection.fetch(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = ANY($1)",
                [sql.api_key, sql.session, sql.session_by_id],
            )
            assert [tuple(row) for row in planned] == [(2, 0)] * 3
    finally:
        await pool.close()
