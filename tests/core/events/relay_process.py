"""A process that relays to a file until it is told to stop: URL OWNER FILE LEASE_SECONDS."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from czo_auth.core.events.deliver import DeliveryPolicy, Relay
from czo_auth.delivery.jsonlines import JsonLines
from czo_auth.storage import open_storage


async def main(url: str, owner: str, file: Path, lease: timedelta) -> None:
    storage = open_storage(url)
    sink = JsonLines(file, source=owner)
    policy = DeliveryPolicy(lease=lease, time_limit=lease / 2, poll=timedelta(milliseconds=50))
    relay = Relay(storage.transactions, [sink], owner=owner, now=lambda: datetime.now(UTC), policy=policy)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, relay.stop)
    await relay.run()
    await sink.close()
    await storage.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), timedelta(seconds=float(sys.argv[4]))))
