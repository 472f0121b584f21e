"""What the tests of both brokers share: an event, offering it as the relay does, and a relay that loses its power."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from czo_auth.core.events.deliver import Sink, SinkUnavailable
from czo_auth.core.events.types import Event

SOURCE = "https://auth.example"
ROOT = Path(__file__).parents[2]


async def eventually_delivers(sink: Sink, event: Event) -> None:
    """Offer an event as the relay does, until it is taken."""
    async with asyncio.timeout(60):
        while True:
            try:
                await sink.deliver(event)
            except SinkUnavailable:
                await asyncio.sleep(0.1)
            else:
                return


async def eventually_unavailable(sink: Sink, event: Event, why: str) -> None:
    """Offer an event until the sink cannot take it for the reason *why*."""
    async with asyncio.timeout(60):
        while True:
            try:
                await sink.deliver(event)
            except SinkUnavailable as outage:
                if why in str(outage):
                    return
            await asyncio.sleep(0.1)


async def power_cut(database_url: str, broker_url: str, name: str, *, after: int) -> None:
    """Relay in a process that ends between its broker's confirmation of an event and the note of it."""
    words = (database_url, broker_url, name, str(after))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.delivery.broker_process", *words, cwd=ROOT
    )
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL
