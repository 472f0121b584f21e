"""
A process that writes without a pause: URL WRITES.

Says ``ready``; reads a line; says ``done`` after so many writes, and writes until stdin ends; says how many it made.
"""

from __future__ import annotations

import asyncio
import sys

from czo_auth.core.transaction import Transaction
from czo_auth.storage import open_storage
from tests.support.records import NOW, an_id

AT_ONCE = 4


def write(tx: Transaction) -> bool:
    """Keep a row of its own."""
    return tx.key_checks.add(an_id(), "a check", now=NOW)


async def main(url: str, writes: int) -> None:
    storage = open_storage(url)
    await storage.start()
    print("ready", flush=True)
    sys.stdin.readline()
    told_to_end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    written = 0

    async def write_on() -> None:
        nonlocal written
        while not told_to_end.done():
            await storage.transactions.run(write)
            written += 1
            if written == writes:
                print("done", flush=True)

    await asyncio.gather(*(write_on() for _ in range(AT_ONCE)))
    await storage.close()
    print(written, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
