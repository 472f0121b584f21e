"""PostgreSQL behind a pooler: in transaction mode with a direct address beside it, or in session mode."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from czo_auth import Auth, Settings, StartRefused
from czo_auth.cli.command import CANNOT_START
from czo_auth.core.errors import StorageUnavailable
from czo_auth.crypto.sealing import new_key_text
from czo_auth.storage.errors import DatabaseMisconfigured
from czo_auth.storage.postgresql import PostgresStorage
from tests.cli.shell import Shell
from tests.support.pgbouncer import PROGRAM, PgBouncer
from tests.support.postgres import PostgresServer
from tests.support.records import NOW, a_digest
from tests.support.rows import Rows

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")


@pytest.fixture(scope="module")
def bouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    with PgBouncer(postgres_server) as bouncer:
        yield bouncer


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


async def test_storage_works_through_a_pooler_in_transaction_mode(
    migrated_postgres_url: str, bouncer: PgBouncer
) -> None:
    storages = [
        PostgresStorage(
            bouncer.url(name_of(migrated_postgres_url)),
            direct_url=migrated_postgres_url,
            table_prefix="czo_auth_",
            cache_bound=timedelta(seconds=5),
        )
        for _ in range(3)
    ]
    for storage in storages:
        await storage.check_address()
        await storage.start()

    async def act(storage: PostgresStorage) -> None:
        rows = Rows(storage)
        for _ in range(8):
            digest = a_digest()
            session = await rows.session(await rows.user(), digest=digest)
            found = await storage.lookup.find_session(digest)
            assert found is not None
            assert found.id == session.id

    # More at once than the pooler has connections, so that they pass from hand to hand.
    await asyncio.gather(*(act(storage) for storage in storages for _ in range(4)))
    # Notifications come over the direct address.
    before = storages[0].lookup.change_token()
    assert before is not None
    rows = Rows(storages[1])
    user = await rows.user()
    await rows.run(lambda tx: tx.users.set_ban(user.id, banned_at=NOW, reason=None, now=NOW))
    async with asyncio.timeout(60):
        while storages[0].lookup.change_token() == before:  # noqa: ASYNC110 - it comes from the database
            await asyncio.sleep(0.01)
    for storage in storages:
        await storage.close()


async def test_end_of_the_pooler_is_an_outage_until_it_is_back(
    migrated_postgres_url: str, postgres_server: PostgresServer
) -> None:
    with PgBouncer(postgres_server) as bouncer:
        storage = PostgresStorage(
            bouncer.url(name_of(migrated_postgres_url)),
            direct_url=migrated_postgres_url,
            table_prefix="czo_auth_",
        )
        rows, digest = Rows(storage), a_digest()
        await rows.key(await rows.user(), digest=digest)
        bouncer.kill()
        with pytest.raises(StorageUnavailable):
            await rows.user()
        with pytest.raises(StorageUnavailable):
            await storage.lookup.find_api_key(digest)
        bouncer.start()
        assert await storage.lookup.find_api_key(digest) is not None
        await rows.user()
        await storage.close()


async def test_nothing_of_a_lookup_stays_in_the_pooler_s_connection(
    migrated_postgres_url: str, bouncer: PgBouncer
) -> None:
    storage = PostgresStorage(
        bouncer.url(name_of(migrated_postgres_url)),
        direct_url=migrated_postgres_url,
        table_prefix="czo_auth_",
    )
    assert await storage.lookup.find_api_key(a_digest()) is None
    await storage.close()
    behind = await asyncpg.connect(bouncer.url(name_of(migrated_postgres_url)), statement_cache_size=0)
    async with behind.transaction():
        assert await behind.fetchval("SHOW enable_seqscan") == "on"
        assert await behind.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
    await behind.close()


async def test_pooler_in_transaction_mode_without_a_direct_address_is_refused(
    migrated_postgres_url: str, bouncer: PgBouncer
) -> None:
    storage = PostgresStorage(bouncer.url(name_of(migrated_postgres_url)), table_prefix="czo_auth_")
    with pytest.raises(DatabaseMisconfigured) as refused:
        await storage.check_address()
    assert "CZO_AUTH_DATABASE_DIRECT_URL" in refused.value.advice
    await storage.close()


async def test_busy_pooler_in_transaction_mode_is_recognized_too(
    migrated_postgres_url: str, bouncer: PgBouncer
) -> None:
    url = bouncer.url(name_of(migrated_postgres_url))
    busy = PostgresStorage(url, direct_url=migrated_postgres_url, table_prefix="czo_auth_")

    async def write() -> None:
        while True:
            await Rows(busy).user()

    writers = [asyncio.create_task(write()) for _ in range(4)]
    await asyncio.sleep(0.2)
    storage = PostgresStorage(url, table_prefix="czo_auth_")
    for _ in range(3):
        with pytest.raises(DatabaseMisconfigured):
            await storage.check_address()
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    await storage.close()
    await busy.close()


async def test_postgresql_itself_and_a_pooler_in_session_mode_need_no_direct_address(
    migrated_postgres_url: str, postgres_server: PostgresServer
) -> None:
    with PgBouncer(postgres_server, mode="session", connections=20) as bouncer:
        for url in (migrated_postgres_url, bouncer.url(name_of(migrated_postgres_url))):
            storage = PostgresStorage(url, table_prefix="czo_auth_")
            await storage.check_address()
            await Rows(storage).user()
            await storage.close()


def test_direct_address_without_a_pooler_is_refused() -> None:
    settings = Settings(
        encryption_key=new_key_text(),  # type: ignore[arg-type]
        database_direct_url="postgresql://czo@db.example/czo",
    )
    with pytest.raises(StartRefused, match="CZO_AUTH_DATABASE_URL names no pooler"):
        Auth(settings)


def test_start_behind_a_pooler_says_what_is_missing_in_one_sentence(
    migrated_postgres_url: str, bouncer: PgBouncer, tmp_path: Path
) -> None:
    pooled = bouncer.url(name_of(migrated_postgres_url))
    env = {"AUTH_ENCRYPTION_KEY": new_key_text(), "CZO_AUTH_DATABASE_URL": pooled}
    shell = Shell(tmp_path / "data", env=env)
    refused = shell.run("keys", "status", "--json", code=CANNOT_START)
    assert refused.stderr.splitlines()[-1].endswith(
        "name PostgreSQL itself in CZO_AUTH_DATABASE_DIRECT_URL as well, or let the pooler work in session mode."
    )
    direct = {"CZO_AUTH_DATABASE_DIRECT_URL": migrated_postgres_url}
    assert shell.run("keys", "status", "--json", env=direct).stderr == ""
