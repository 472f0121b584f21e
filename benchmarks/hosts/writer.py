"""
Write to a database as a busy deployment does, fifty times a second, until stopped.

Each transaction opens a session and records a sign-in; it takes no rights away, so no process may empty its cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import replace

from benchmarks import data
from benchmarks.credentials_rows import session_of
from czo_auth import Auth
from czo_auth.core.context import Context
from czo_auth.core.events.types import SIGN_IN, AuditEvent
from czo_auth.core.ids import new_id
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import tokens

A_SECOND = 50


async def main() -> None:
    """Write until the end."""
    auth = Auth()
    await auth.start()
    listening = socket.create_server(("127.0.0.1", int(os.environ["BENCH_PORT"])))
    user_id = data.uuid("u", 0)
    number = 0
    try:
        while True:
            number += 1
            now = auth.now()
            session = replace(session_of(new_id(now), user_id, auth), ip="192.0.2.7")
            digest = tokens.digest_bytes(b"written %d %d" % (os.getpid(), number))

            def write(tx: Transaction, session: object = session, digest: str = digest) -> None:
                tx.sessions.add(session, token_digest=digest)  # type: ignore[arg-type]
                tx.record(AuditEvent(action=SIGN_IN, user_id=user_id))

            await auth.services.transactions.run(write, Context(now=now, user_id=user_id, method="pwd"))
            await asyncio.sleep(1 / A_SECOND)
    finally:
        listening.close()
        await auth.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
