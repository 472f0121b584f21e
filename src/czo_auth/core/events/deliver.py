"""The relay: carries recorded events from the outbox to the sinks, in order, at least once (S34)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.events.outbox import Outbox
from czo_auth.core.events.types import Event
from czo_auth.core.text import escape_control
from czo_auth.crypto import tokens

T = TypeVar("T")

_log = logging.getLogger("czo_auth.events")


class SinkUnavailable(Exception):
    """
    The sink cannot accept any event right now. This says nothing about the event, which waits and is never
    dead-lettered.
    """


class Sink(Protocol):
    """
    A destination for events.

    Promise: ``deliver`` returns once the event is safe on the other side. It gets events one at a time, oldest first,
    and may get one more than once; ``event.id`` identifies it. Replayed dead letters come out of order.

    A sink may have its own ``policy``, a `DeliveryPolicy`, and ``joins``, the name of another sink at whose position it
    starts.
    """

    @property
    def name(self) -> str:
        """Identifies the sink's position in the outbox; with a new name it starts over."""

    async def deliver(self, event: Event) -> None:
        """
        Hand *event* over.

        Raises:
            SinkUnavailable: An outage. The sink waits and then continues with this event.
            Exception: Anything else counts against the event, which is dead-lettered after a few tries.
        """


class OutboxHolder(Protocol):
    """The part of a transaction that the relay needs."""

    @property
    def outbox(self) -> Outbox: ...


class OutboxTransactions(Protocol):
    """The part of ``Transactions`` that the relay needs; defined here because events are a layer below transactions."""

    async def run(self, step: Callable[[OutboxHolder], T]) -> T:
        """Run a step that may write."""

    async def read(self, step: Callable[[OutboxHolder], T]) -> T:
        """Run a step that only reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """
    Attributes:
        batch_size: Events read at once; also the most that are delivered again after a crash.
        lease: How long a process that died blocks its sinks for others. Renewed at half time.
        time_limit: How long one delivery may take before it counts as an outage; at most half the lease, so that no
            delivery outlives the lease under which it began.
        poll: How often to look for events that other processes recorded.
        tries: How often an event is offered before it is dead-lettered.
        first_pause, longest_pause: After a failure; doubled each time, with jitter.

    Raises:
        ValueError: A number makes no sense.
    """

    batch_size: int = 100
    lease: timedelta = timedelta(seconds=30)
    time_limit: timedelta = timedelta(seconds=15)
    poll: timedelta = timedelta(milliseconds=750)
    tries: int = 5
    first_pause: timedelta = timedelta(milliseconds=250)
    longest_pause: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.tries < 1:
            raise ValueError("batch_size and tries must be at least 1")
        if min(self.lease, self.time_limit, self.poll, self.first_pause, self.longest_pause) <= timedelta(0):
            raise ValueError("the times of a delivery policy must be longer than nothing")
        if self.time_limit * 2 > self.lease:
            raise ValueError("time_limit may be at most half the lease")

    def pause_after(self, failures: int) -> timedelta:
        """Choose how long to wait after the failure number *failures*: between half and all of its turn."""
        # Beyond 2^20 the longest pause applies anyway, and the float would overflow.
        whole = min(self.first_pause * (1 << min(failures - 1, 20)), self.longest_pause)
        jitter = int.from_bytes(tokens.random_bytes(2), "big") / 0x10000
        return whole * (1 + jitter) / 2


class Relay:
    """
    Delivers recorded events to every sink, each at its own pace.

    One process at a time serves a sink, by a lease in the database. A relay runs once; create another to run again.

    Args:
        transactions: The ``Transactions`` of the storage.
        sinks: Where events go; their names are distinct.
        owner: Identifies this process among those that share the database; must be unique.
        now: Returns the current time, aware.
        policy: Batch sizes, time limits and pauses.

    Raises:
        ValueError: Two sinks have one name.
    """

    def __init__(
        self,
        transactions: OutboxTransactions,
        sinks: Sequence[Sink],
        *,
        owner: str,
        now: Callable[[], datetime],
        policy: DeliveryPolicy | None = None,
    ) -> None:
        if len({sink.name for sink in sinks}) != len(sinks):
            raise ValueError("two sinks have the same name")
        self._stop = asyncio.Event()
        self._sinks = tuple(sinks)
        self._transactions = transactions
        self._policy = policy = policy or DeliveryPolicy()
        self._lines = [
            _Line(sink, transactions=transactions, owner=owner, now=now, policy=policy, stop=self._stop)
            for sink in sinks
        ]

    async def run(self) -> None:
        """Deliver until `stop`; then finish the current events and release the leases."""
        await self._join()
        async with asyncio.TaskGroup() as group:
            for line in self._lines:
                group.create_task(line.run())
            await self._stop.wait()

    async def _join(self) -> None:
        """Set the first position of sinks that start where others are."""
        joining: dict[str, list[str]] = {}
        for sink in self._sinks:
            if (place := getattr(sink, "joins", None)) is not None:
                joining.setdefault(place, []).append(sink.name)
        for place, names in joining.items():
            while not self._stop.is_set() and not await self._joined(names, place):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._policy.poll.total_seconds()):
                        await self._stop.wait()

    async def _joined(self, names: Sequence[str], place: str) -> bool:
        try:
            await self._transactions.run(lambda tx: tx.outbox.join_sinks(names, place=place))
        except StorageUnavailable:
            return False
        return True

    def stop(self) -> None:
        """Let `run` return. Call it on the event loop's thread."""
        self._stop.set()
        self.notify()

    def notify(self) -> None:
        """
        Wake the relay after an event was recorded, instead of waiting for the next poll. Call it on the event loop's
        thread.
        """
        for line in self._lines:
            line.wake.set()


@dataclass(frozen=True, slots=True)
class _Rest:
    """How long to wait, and what ends the wait early."""

    pause: timedelta
    ended_by: asyncio.Event


class _Line:
    """The delivery to one sink: its lease, position and failures."""

    def __init__(
        self,
        sink: Sink,
        *,
        transactions: OutboxTransactions,
        owner: str,
        now: Callable[[], datetime],
        policy: DeliveryPolicy,
        stop: asyncio.Event,
    ) -> None:
        self.wake = asyncio.Event()
        self._sink = sink
        self._transactions = transactions
        self._owner = owner
        self._now = now
        self._policy: DeliveryPolicy = getattr(sink, "policy", policy)
        self._joins: str | None = getattr(sink, "joins", None)
        self._stop = stop
        self._leased_until: datetime | None = None
        self._position = 0
        self._position_is_saved = True
        self._tried: tuple[str, int] = ("", 0)
        self._setbacks = 0

    async def run(self) -> None:
        try:
            while not self._stop.is_set():
                await self._wait(await self._guarded_pass())
        finally:
            await self._release()

    async def _wait(self, rest: _Rest) -> None:
        try:
            async with asyncio.timeout(rest.pause.total_seconds()):
                await rest.ended_by.wait()
        except TimeoutError:
            pass

    async def _guarded_pass(self) -> _Rest:
        """Make one pass; an outage on either side becomes a pause that only `stop` cuts short."""
        try:
            return await self._pass()
        except SinkUnavailable as outage:
            return self._set_back("sink %s is unavailable, its events wait: %s", outage)
        except StorageUnavailable as outage:
            return self._set_back("the database is unavailable, events for sink %s wait: %s", outage)
        except Exception as error:
            # If the task ended here, nothing would be delivered any more, and nobody would notice.
            _log.error("delivery to sink %s failed unexpectedly", self._sink.name, exc_info=error)
            return self._set_back("events for sink %s wait: %s", error)

    async def _pass(self) -> _Rest:
        """Deliver one batch, as far as it goes."""
        # Before reading: what is recorded from here on is either read below or wakes this task again.
        self.wake.clear()
        if not await self._hold():
            return _Rest(self._policy.poll, self._stop)
        position, limit = self._position, self._policy.batch_size
        events, replays = await self._transactions.read(
            lambda tx: (
                tx.outbox.events_after(position, limit=limit),
                tx.outbox.replays(self._sink.name, limit=limit),
            )
        )
        for event in replays:
            if self._stop.is_set() or not self._holds():
                return _Rest(timedelta(0), self.wake)
            await self._replay(event)
        for event in events:
            # A batch ends when it is time to renew the lease; the next pass does.
            if self._stop.is_set() or not self._holds():
                return _Rest(timedelta(0), self.wake)
            pause = await self._offer(event)
            if pause is not None:
                return _Rest(pause, self._stop)
        await self._save()
        self._recover()
        return _Rest(timedelta(0) if len(events) == limit else self._policy.poll, self.wake)

    # --- one event ---

    async def _offer(self, event: Event) -> timedelta | None:
        """Offer *event* to the sink. Return None if it is done, else how long to wait before the next try."""
        try:
            await self._attempt(event)
        except SinkUnavailable:
            await self._save()
            raise
        except Exception as fault:
            return await self._count_against(event, fault)
        self._position, self._position_is_saved = event.sequence, False
        self._recover()
        return None

    async def _replay(self, event: Event) -> None:
        """Offer a dead-lettered event once more; if that fails, it stays a dead letter."""
        error: str | None = None
        try:
            await self._attempt(event)
        except SinkUnavailable:
            raise
        except Exception as fault:
            error = _described(fault)
            _log.warning("sink %s refused replayed event %s: %s", self._sink.name, event.id, error)
        await self._transactions.run(
            lambda tx: tx.outbox.end_replay(self._sink.name, event.sequence, error=error)
        )

    async def _attempt(self, event: Event) -> None:
        limit = self._policy.time_limit.total_seconds()
        clock = asyncio.timeout(limit)
        try:
            async with clock:
                await self._sink.deliver(event)
        except TimeoutError:
            if not clock.expired():
                raise
            raise SinkUnavailable(f"no answer within {limit:g} s") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something that the sink awaited was canceled, not this task, which must not end because of it.
            raise RuntimeError("the delivery was cancelled from within") from None

    async def _count_against(self, event: Event, fault: Exception) -> timedelta | None:
        tried, count = self._tried
        count = count + 1 if tried == event.id else 1
        self._tried = event.id, count
        if count < self._policy.tries:
            _log.info("sink %s refused event %s: %s", self._sink.name, event.id, _described(fault))
            await self._save()
            return self._policy.pause_after(count)
        if await self._dead_letter(event, _described(fault)):
            _log.error(
                "sink %s refused event %s (%s) %d times, it is dead-lettered: %s",
                *(self._sink.name, event.id, event.type, count, _described(fault)),
            )
        return None

    async def _dead_letter(self, event: Event, error: str) -> bool:
        now = self._now()

        def step(tx: OutboxHolder) -> bool:
            # First, so that a process that lost the lease does not dead-letter what the next one may be able to
            # deliver.
            if not tx.outbox.advance_sink(
                self._sink.name, owner=self._owner, sequence=event.sequence, joins=self._joins
            ):
                return False
            tx.outbox.dead_letter(self._sink.name, event, error=error, now=now)
            return True

        return self._saved_or_lost(event.sequence, saved=await self._transactions.run(step))

    # --- the lease and the place ---

    def _holds(self) -> bool:
        """Return whether the lease lasts for one more delivery."""
        return self._leased_until is not None and self._now() < self._leased_until - self._policy.lease / 2

    async def _hold(self) -> bool:
        """Take or renew the lease and read the position; False if another process serves the sink."""
        if self._holds() and self._position_is_saved:
            return True
        sink, owner, unsaved = self._sink.name, self._owner, not self._position_is_saved
        position, joins, now = self._position, self._joins, self._now()
        until = now + self._policy.lease

        def step(tx: OutboxHolder) -> int | None:
            if unsaved:
                # The result does not matter: the claim below shows the current state.
                tx.outbox.advance_sink(sink, owner=owner, sequence=position, joins=joins)
            return tx.outbox.claim_sink(sink, owner=owner, until=until, now=now)

        place = await self._transactions.run(step)
        self._position_is_saved = True
        self._leased_until = None if place is None else until
        self._position = self._position if place is None else place
        return place is not None

    async def _save(self) -> None:
        if self._position_is_saved:
            return
        position = self._position
        saved = await self._transactions.run(
            lambda tx: tx.outbox.advance_sink(
                self._sink.name, owner=self._owner, sequence=position, joins=self._joins
            )
        )
        self._saved_or_lost(position, saved=saved)

    def _saved_or_lost(self, position: int, *, saved: bool) -> bool:
        self._position, self._position_is_saved = position, True
        if not saved:
            _log.info("another process took over sink %s", self._sink.name)
            self._leased_until = None
        return saved

    async def _release(self) -> None:
        sink, owner = self._sink.name, self._owner
        position, joins, unsaved = self._position, self._joins, not self._position_is_saved

        def step(tx: OutboxHolder) -> None:
            if unsaved:
                tx.outbox.advance_sink(sink, owner=owner, sequence=position, joins=joins)
            tx.outbox.release_sink(sink, owner=owner)

        try:
            await self._transactions.run(step)
        except StorageUnavailable:
            _log.warning("the lease on sink %s could not be given back; it runs out by itself", sink)

    # --- setbacks ---

    def _set_back(self, message: str, error: Exception) -> _Rest:
        self._setbacks += 1
        if self._setbacks == 1:
            _log.warning(message, self._sink.name, _described(error))
        return _Rest(self._policy.pause_after(self._setbacks), self._stop)

    def _recover(self) -> None:
        if self._setbacks:
            _log.info("delivery to sink %s resumed after %d failures", self._sink.name, self._setbacks)
        self._setbacks = 0


def _described(error: Exception) -> str:
    return escape_control(f"{type(error).__name__}: {error}", limit=300)
