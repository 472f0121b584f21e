"""What was acknowledged survives the death of the process that acknowledged it (S30)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from czo_auth.core.events.chain import verify_chain
from czo_auth.core.paging import PageQuery
from czo_auth.core.users.store import UserFilter
from tests.support.rows import Rows

ROOT = Path(__file__).parents[2]
ROUNDS = 3

WRITER = """
import asyncio, sys
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.context import system_context
from czo_auth.storage import open_storage
from tests.support.records import NOW, a_user

storage = open_storage(sys.argv[1])

def store_user(tx):
    user = a_user()
    assert tx.users.add(user)
    tx.record(AuditEvent(action=types.USER_REGISTERED, user_id=user.id))
    return user.id

async def write():
    while True:
        print(await storage.transactions.run(store_user, system_context(NOW)), flush=True)

async def main():
    await asyncio.gather(*(write() for _ in range(4)))

asyncio.run(main())
"""


@pytest.mark.deep
async def test_acknowledged_writes_survive_a_killed_process_together_with_their_events(
    rows: Rows,
) -> None:
    acknowledged: set[str] = set()
    for _ in range(ROUNDS):
        acknowledged |= await asyncio.to_thread(write_until_killed, rows.storage.url)

    users = await rows.run(lambda tx: tx.users.search(UserFilter(), page=PageQuery(limit=100_000)))
    events = await rows.run(lambda tx: tx.outbox.events_after(0, limit=100_000))
    kept = {user.id for user in users}
    assert len(acknowledged) >= 40 * ROUNDS
    assert acknowledged <= kept
    assert kept == {event.user_id for event in events}
    assert verify_chain(await rows.run(lambda tx: tx.audit_log.audit_after(0, limit=100_000))) is None


def write_until_killed(url: str) -> set[str]:
    """Let a process write, kill it in the middle, and give what it had said was kept."""
    command = [sys.executable, "-W", "error", "-c", WRITER, url]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        first = [writer.stdout.readline() for _ in range(40)]
    finally:
        writer.kill()
        rest, _ = writer.communicate()
    # The last line may have been cut off by the kill.
    return {line.strip() for line in (*first, *rest.splitlines(keepends=True)) if line.endswith("\n")}
