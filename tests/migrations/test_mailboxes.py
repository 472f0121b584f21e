"""Revision 0007: addresses that folding changed come back where that is certain, and the rest is listed."""

from __future__ import annotations

import pytest

from czo_auth.core.flows.administration.users import Administration
from czo_auth.runtime import Runtime
from czo_auth.storage.migrate import upgrade
from tests.migrations.databases import execute, fetch_rows, upgrade_to
from tests.support.settings import settings

FOLDED = {
    "gross@example.de": "gross@example.de",
    "grossé@example.com": "grossé@example.com",
    "jess@example.com": "jess@example.com",
    "σοφοσ@example.com": "σοφος@example.com",
    "σοφοσ.σασ@example.com": "σοφος.σας@example.com",
    "Ꮳꮃ@example.com".casefold(): "ꮳꮃ@example.com",
}
USERS = "INSERT INTO {}users (id, email, name, email_verified, actor_types, credential_version, created_at, updated_at)"


async def test_folded_addresses_come_back(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "czo_auth_"
    await upgrade_to("0006", database_url, monkeypatch=monkeypatch)
    for number, email in enumerate(FOLDED):
        await execute(
            database_url,
            f"{USERS.format(prefix)} VALUES ('{number:036}', '{email}', 'A', true, 'customer', 1, 1000, 1000)",
        )
    await upgrade(database_url)
    found = await fetch_rows(database_url, f"SELECT email, mailbox FROM {prefix}users ORDER BY id")
    assert found == [(email, None) for email in FOLDED.values()]

    runtime = Runtime(settings(database_url))
    listed = await Administration(runtime.services).list_folded(after=None, limit=10)
    assert [user.email for user in listed] == ["gross@example.de", "grossé@example.com"]
    await runtime.storage.close()


async def test_address_that_somebody_has_stays_as_it_is(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0006", database_url, monkeypatch=monkeypatch)
    for number, email in enumerate(("σοφοσ@example.com", "σοφος@example.com")):
        await execute(
            database_url,
            f"{USERS.format('czo_auth_')} VALUES ('{number:036}', '{email}', 'A', true, 'customer', 1, 1000, 1000)",
        )
    await upgrade(database_url)
    assert await fetch_rows(database_url, "SELECT email FROM czo_auth_users ORDER BY id") == [
        ("σοφοσ@example.com",),
        ("σοφος@example.com",),
    ]
