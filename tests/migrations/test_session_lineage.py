"""Revision 0006: earlier sessions begin a lineage, and a pending enrollment goes to the one that must have begun it."""

from __future__ import annotations

import pytest

from czo_auth.storage import open_storage
from czo_auth.storage.column_types import from_milliseconds
from czo_auth.storage.migrate import current_revision, upgrade
from tests.migrations.databases import execute, fetch_rows, upgrade_to

USER, SESSION = "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"
LATER, ENROLLMENT = "01900000-0000-7000-8000-000000000006", "01900000-0000-7000-8000-000000000004"
OTHER = "01900000-0000-7000-8000-000000000005"
FAR = 4102444800000


async def fill_before(url: str, prefix: str) -> None:
    """Keep a user, a session and a pending enrollment, as revision 0005 wrote them."""
    await execute(
        url,
        f"INSERT INTO {prefix}users (id, email, name, email_verified, actor_types, credential_version, created_at, "
        f"updated_at) VALUES ('{USER}', 'ada@example.com', 'Ada', true, 'customer', 1, 1000, 1000)",
        session_of_0005(prefix, SESSION, "a" * 64),
        f"INSERT INTO {prefix}enrolments (id, user_id, sealed_secret, replaces, created_at, expires_at) "
        f"VALUES ('{ENROLLMENT}', '{USER}', 'v1.k1.nonce.sealed', false, 1000, {FAR})",
    )


def session_of_0005(prefix: str, session_id: str, digest: str) -> str:
    return (
        f"INSERT INTO {prefix}sessions (id, digest, user_id, actor_type, aal, amr, auth_time, remembered, created_at, "
        f"expires_at) VALUES ('{session_id}', '{digest}', '{USER}', 'customer', 1, 'pwd', 1000, true, 1000, {FAR})"
    )


@pytest.mark.parametrize("sessions", [1, pytest.param(2, marks=pytest.mark.deep)])
@pytest.mark.parametrize("prefix", ["czo_auth_", pytest.param("shop_", marks=pytest.mark.deep)])
async def test_sessions_of_0005_live_on_with_a_lineage(
    database_url: str, prefix: str, sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0005", database_url, prefix, monkeypatch=monkeypatch)
    assert await current_revision(database_url, prefix) == "0005"
    await fill_before(database_url, prefix)
    if sessions == 2:
        await execute(database_url, session_of_0005(prefix, OTHER, "c" * 64))
    await upgrade(database_url, prefix)
    lineages = await fetch_rows(database_url, f"SELECT id, lineage_id FROM {prefix}sessions ORDER BY id")
    assert lineages == [(SESSION, SESSION), (OTHER, OTHER)][:sessions]

    # A process of the version before goes on during the roll-out.
    await execute(database_url, session_of_0005(prefix, LATER, "b" * 64))
    storage = open_storage(database_url, table_prefix=prefix)
    await storage.start()
    try:
        for digest, session_id in (("a" * 64, SESSION), ("b" * 64, LATER)):
            found = await storage.lookup.find_session(digest)
            assert found is not None
            assert (found.id, found.lineage_id) == (session_id, session_id)
        for lineage_id in (SESSION, OTHER, LATER):
            pending = await storage.transactions.read(
                lambda tx, lineage=lineage_id: tx.two_factor.find_enrollment(  # type: ignore[misc]
                    USER, lineage_id=lineage, now=from_milliseconds(2000)
                )
            )
            assert (pending is not None) == (sessions == 1 and lineage_id == SESSION)
    finally:
        await storage.close()
