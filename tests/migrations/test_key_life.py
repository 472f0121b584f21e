"""Revision 0002: keys and organizations made at 0001 are all there afterwards, and as free as before."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from czo_auth.storage import open_storage
from czo_auth.storage.migrate import current_revision, upgrade
from tests.migrations.databases import execute, fetch_rows, upgrade_to

USER, ORGANIZATION = "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"
KEY, DIGEST = "01900000-0000-7000-8000-000000000003", "d" * 64


async def fill_at_0001(url: str, prefix: str) -> None:
    """Keep a user, an organization, a member, and a key, as revision 0001 wrote them."""
    await execute(
        url,
        f"INSERT INTO {prefix}users (id, email, name, email_verified, actor_types, credential_version, created_at, "
        f"updated_at) VALUES ('{USER}', 'ada@example.com', 'Ada', true, 'customer', 1, 1000, 1000)",
        f"INSERT INTO {prefix}organizations (id, name, slug, created_at, updated_at) "
        f"VALUES ('{ORGANIZATION}', 'Acme', 'acme', 1000, 1000)",
        f"INSERT INTO {prefix}members (id, organization_id, user_id, role, created_at) "
        f"VALUES ('{KEY}', '{ORGANIZATION}', '{USER}', 'owner', 1000)",
        f"INSERT INTO {prefix}api_keys (id, digest, user_id, organization_id, actor_type, name, prefix, scopes, "
        f"enabled, expires_at, last_used_at, created_at, updated_at) VALUES ('{KEY}', '{DIGEST}', '{USER}', "
        f"'{ORGANIZATION}', 'customer', 'deploy', 'czo_abcd', 'a:read b:write', true, 4102444800000, 2000, 1000, 1000)",
    )


@pytest.mark.parametrize("prefix", ["czo_auth_", pytest.param("shop_", marks=pytest.mark.deep)])
async def test_rows_of_0001_survive_and_nothing_new_binds_them(
    database_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0001", database_url, prefix, monkeypatch=monkeypatch)
    assert await current_revision(database_url, prefix) == "0001"
    await fill_at_0001(database_url, prefix)
    everything = f"SELECT id, email, name, email_verified, actor_types, credential_version FROM {prefix}users"
    before = await fetch_rows(database_url, everything)

    await upgrade(database_url, prefix)

    assert await fetch_rows(database_url, everything) == before
    fresh = "allowed_ips, rate_limit_max, rate_limit_window_seconds, noticed_days, unused_noticed_at"
    kept = await fetch_rows(
        database_url, f"SELECT id, digest, scopes, expires_at, last_used_at, {fresh} FROM {prefix}api_keys"
    )
    assert kept == [(KEY, DIGEST, "a:read b:write", 4102444800000, 2000, None, None, None, None, None)]
    rules = "SELECT name, api_key_max_days, api_key_unused_days FROM"
    assert await fetch_rows(database_url, f"{rules} {prefix}organizations") == [("Acme", None, None)]

    storage = open_storage(database_url, table_prefix=prefix)
    await storage.start()
    try:
        found = await storage.lookup.find_api_key(DIGEST)
        assert found is not None
        assert (found.id, found.organization_role, found.scopes) == (KEY, "owner", ("a:read", "b:write"))
    finally:
        await storage.close()


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        ("allowed_ips = '192.0.2.7'", True),
        ("rate_limit_max = 1", True),
        ("rate_limit_window_seconds = 1", True),
        ("scopes = ''", True),
        ("expires_at = 1", True),
        ("enabled = false", True),
        ("revoked_at = 1", True),
        ("noticed_days = 7", False),
        ("last_used_at = 1", False),
    ],
)
async def test_postgresql_tells_of_what_a_lookup_reads(
    migrated_postgres_url: str, change: str, *, is_told: bool
) -> None:
    """S18: a remembered key must not outlive a change of its guard; notices and uses forget nothing."""
    await fill_at_0001(migrated_postgres_url, "czo_auth_")
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = await asyncpg.connect(migrated_postgres_url)
    try:
        await listening.add_listener("czo_auth_changed", lambda *reported: heard.put_nowait(str(reported[2])))
        await execute(migrated_postgres_url, f"UPDATE czo_auth_api_keys SET {change}")
        await listening.fetchval("SELECT 1")
        await asyncio.sleep(0.05)
        assert (not heard.empty()) is is_told
    finally:
        await listening.close()
