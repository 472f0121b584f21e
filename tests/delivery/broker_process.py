"""
A relay that ends as by a power cut once its sink took some events, before that can be noted.

DATABASE_URL BROKER_URL NAME COUNT; the broker is told by the scheme of its URL.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

from czo_auth.core.events.deliver import DeliveryPolicy, Relay, Sink
from czo_auth.core.events.types import Event
from czo_auth.delivery.nats import NatsJetStream
from czo_auth.delivery.rabbitmq import RabbitMQ
from czo_auth.storage import open_storage
from tests.delivery.brokers import SOURCE


class PowerCut:
    """Hands on what it gets; the last time nobody lives to note it."""

    def __init__(self, inner: Sink, *, after: int) -> None:
        self.name = inner.name
        self._inner = inner
        self._left = after

    async def deliver(self, event: Event) -> None:
        await self._inner.deliver(event)
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(database_url: str, broker_url: str, name: str, count: int) -> None:
    storage = open_storage(database_url)
    sink: Sink = (
        RabbitMQ(broker_url, exchange=name, source=SOURCE)
        if broker_url.startswith("amqp")
        else NatsJetStream(broker_url, stream=name, subject=name.lower(), source=SOURCE)
    )
    # Its lease ends by itself soon after it.
    policy = DeliveryPolicy(lease=timedelta(seconds=2), time_limit=timedelta(seconds=1))
    relay = Relay(
        storage.transactions,
        [PowerCut(sink, after=count)],
        owner="cut",
        now=lambda: datetime.now(UTC),
        policy=policy,
    )
    await relay.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
