"""The books would notice: each kind of half state is named when somebody makes one."""

from __future__ import annotations

import pytest

from tests.contract.database import sql
from tests.contract.databases import SqliteDatabases
from tests.contract.people import Session
from tests.faults.books import faults_of
from tests.faults.users import Memory

pytestmark = pytest.mark.deep

BREAKS = {
    "a user and": "DELETE FROM {}events WHERE type = 'auth.user.registered'",
    "a session and": "DELETE FROM {}events WHERE type = 'auth.session.created'",
    "end of a session and": "UPDATE {}sessions SET revoked_at = NULL",
    "backup code that is used and its session": "UPDATE {}backup_codes SET used_at = 1 WHERE rowid = 1",
    "challenge that is spent and": (
        "INSERT INTO {}challenges (id, digest, user_id, actor_type, credential_version, attempts, remembered, "
        "auth_time, created_at, expires_at, consumed_at) "
        "SELECT 'c', 'd', id, 'customer', 1, 0, 1, 1, 1, 1, 1 FROM {}users LIMIT 1"
    ),
    "a factor and its ten codes": "DELETE FROM {}backup_codes WHERE rowid = 1",
    "a factor and the event": "DELETE FROM {}factors",
    "exactly one live leaf": "UPDATE {}refresh_tokens SET replaced_at = 1 WHERE rowid = 1",
    "without a refresh family": "DELETE FROM {}refresh_tokens",
    "not in the audit log": "DELETE FROM {}audit WHERE sequence = 1",
    "the audit log is broken": "UPDATE {}audit SET outcome = 'failure' WHERE sequence = 2",
}


@pytest.mark.parametrize("what", BREAKS)
async def test_half_state_is_named(sqlite_databases: SqliteDatabases, what: str) -> None:
    url = sqlite_databases.new()
    assert await faults_of(url, Memory()) == []
    await sql(url, BREAKS[what])
    assert any(what in fault for fault in await faults_of(url, Memory()))
    sqlite_databases.drop(url)


async def test_what_is_forgotten_is_named(sqlite_databases: SqliteDatabases) -> None:
    url = sqlite_databases.new()
    ((user,),) = await sql(url, "SELECT id FROM {}users LIMIT 1")
    memory = Memory(
        users={"nobody"},
        sessions={"none": Session(body={}, token="none")},
        keys={"czo_": ("none", True)},
        members={("none", user)},
        factors={"nobody"},
        backup_codes={user: 1},
    )
    found = await faults_of(url, memory)
    assert len(found) == 6, found
