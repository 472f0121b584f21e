"""
A process that sends webhooks until it is killed: URL OWNER TIME_LIMIT_SECONDS [die].

With ``die`` it kills itself as soon as a receiver has answered, before it writes that down.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta

from czo_auth.core.webhooks.destination import Destination
from czo_auth.delivery.webhooks import HttpWebhookSender
from tests.webhooks.dispatching import open_setup, policy


class Dies(HttpWebhookSender):
    async def send(self, destination: Destination, *, headers: Mapping[str, str], body: bytes) -> int:
        await super().send(destination, headers=headers, body=body)
        os.kill(os.getpid(), signal.SIGKILL)
        return 0


async def main(url: str, owner: str, limit: timedelta, *, dies: bool) -> None:
    kind = Dies if dies else HttpWebhookSender
    async with (
        open_setup(url) as setup,
        setup.dispatching(
            owner=owner, numbers=policy(time_limit=limit), sender=lambda: kind(time_limit=limit)
        ),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(
        main(sys.argv[1], sys.argv[2], timedelta(seconds=float(sys.argv[3])), dies="die" in sys.argv[4:])
    )
