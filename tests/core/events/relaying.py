"""What the tests of the relay share: sinks that write down what they get, and a relay that ends with its block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from czo_auth.core.context import system_context
from czo_auth.core.events import types
from czo_auth.core.events.deliver import DeliveryPolicy, Relay, Sink
from czo_auth.core.events.types import AuditEvent, Event
from czo_auth.core.transaction import Transaction, Transactions


def milliseconds(number: float) -> timedelta:
    return timedelta(milliseconds=number)


def policy(**others: Any) -> DeliveryPolicy:
    """Numbers small enough for a test; the lease is long, so that no test passes because it ran out."""
    values: dict[str, Any] = {
        "lease": timedelta(seconds=60),
        "poll": milliseconds(20),
        "first_pause": milliseconds(5),
        "longest_pause": milliseconds(40),
    }
    return DeliveryPolicy(**values | others)


class Clock:
    """The present, moved by *ahead* and counted."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.ahead = ahead
        self.asked = 0

    def __call__(self) -> datetime:
        self.asked += 1
        return datetime.now(UTC) + self.ahead


class Notebook:
    """A sink that writes down what it gets, after asking *before* whether it may."""

    def __init__(
        self, name: str = "notebook", *, before: Callable[[Event], Awaitable[None]] | None = None
    ) -> None:
        self.name = name
        self.before = before
        self.offered: list[str] = []
        self.got: list[Event] = []

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.got]

    async def deliver(self, event: Event) -> None:
        self.offered.append(event.id)
        if self.before is not None:
            await self.before(event)
        self.got.append(event)


async def record(transactions: Transactions, *marks: str) -> list[str]:
    """Record an event for each mark, ``user:number``, each in its own transaction; gives the events' ids."""
    before = len(await outbox(transactions))
    for mark in marks:

        def step(tx: Transaction, mark: str = mark) -> None:
            audit_event = AuditEvent(
                action=types.USER_UPDATED, user_id=mark.partition(":")[0], details={"mark": mark}
            )
            tx.acting_as(system_context(datetime.now(UTC))).record(audit_event)

        await transactions.run(step)
    return [event.id for event in await outbox(transactions)][before:]


async def outbox(transactions: Transactions) -> Sequence[Event]:
    return await transactions.read(lambda tx: tx.outbox.events_after(0, limit=1000))


async def dead_letters(transactions: Transactions) -> list[tuple[str, str, str]]:
    found = await transactions.read(lambda tx: tx.outbox.dead_letters(limit=100))
    return [(letter.sink, letter.event.id, letter.error) for letter in found]


async def claim(transactions: Transactions, owner: str, sink: str = "notebook") -> int | None:
    """Try to get the lease as another process would."""
    now = datetime.now(UTC)
    until = now + timedelta(seconds=60)
    return await transactions.run(lambda tx: tx.outbox.claim_sink(sink, owner=owner, until=until, now=now))


@asynccontextmanager
async def running(
    transactions: Transactions,
    *sinks: Sink,
    owner: str = "one",
    now: Callable[[], datetime] | None = None,
    numbers: DeliveryPolicy | None = None,
) -> AsyncIterator[Relay]:
    """Run a relay; it must still run when it is told to stop, and then end soon."""
    relay = Relay(transactions, sinks, owner=owner, now=now or Clock(), policy=numbers or policy())
    task = asyncio.create_task(relay.run())
    try:
        yield relay
        assert not task.done()
    finally:
        relay.stop()
        async with asyncio.timeout(60):
            await task
