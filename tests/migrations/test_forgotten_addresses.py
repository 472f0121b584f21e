"""Revision 0031: the address that was asked for leaves the records of requests, and the chain still verifies."""

from __future__ import annotations

import pytest

from czo_auth.core.context import system_context
from czo_auth.core.events import types
from czo_auth.core.events.chain import verify_chain
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.transaction import Transaction
from czo_auth.storage import migrate, open_storage
from tests.migrations.databases import upgrade_to
from tests.support.records import NOW
from tests.support.rows import Rows

WANTED = "wanted@example.com"


async def test_address_leaves_older_records_of_requests(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade_to("0030", database_url, monkeypatch=monkeypatch)
    storage = open_storage(database_url)
    await storage.start()
    rows = Rows(storage)
    asked = AuditEvent(
        action=types.EMAIL_CHANGE_REQUESTED, details={"emailChangeId": "7", "newEmail": WANTED}
    )
    changed = AuditEvent(action=types.USER_UPDATED, details={"changed": ["email"], "email": WANTED})

    def record(tx: Transaction) -> None:
        for audit_event in (asked, changed):
            tx.acting_as(system_context(NOW)).record(audit_event)

    await rows.run(record)
    await migrate.upgrade(database_url)
    records = await rows.run(lambda tx: tx.audit_log.audit_after(0, limit=10))
    await storage.close()
    assert [record.audit_event.details for record in records] == [{"emailChangeId": "7"}, changed.details]
    assert verify_chain(records) is None
