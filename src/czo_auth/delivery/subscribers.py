"""Functions of the host application that are called with events: ``@auth.on("auth.2fa.enabled")``."""

from __future__ import annotations

import asyncio
import difflib
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar, cast

from czo_auth.core.events.deliver import DeliveryPolicy, Sink
from czo_auth.core.events.types import EVENT_TYPES, Event

Subscriber = Callable[[Event], Awaitable[None]] | Callable[[Event], None]
S = TypeVar("S", bound=Subscriber)

THREADS = 4


class SubscriberFailed(Exception):
    """A subscriber raised, or took too long; the message names it."""


SUBSCRIBER_POLICY: Final = DeliveryPolicy(
    tries=40, first_pause=timedelta(seconds=1), longest_pause=timedelta(minutes=15)
)
"""Forty tries over about six hours: the service that a subscriber depends on may be down for an afternoon."""

JOINS: Final = "in-process"
"""The position in the outbox at which a new subscriber begins."""


class Subscribers:
    """
    The subscribers of this process.

    Each is a sink with its own position in the outbox, so that none waits for another. If one raises, it gets the
    event again for hours, with growing pauses, while its later events wait. After that the event is dead-lettered.
    Each process that runs a relay must register the same subscribers, because only one process serves a subscriber at
    a time.

    Args:
        time_limit: How long one subscriber may take with one event before that counts as an error. Less than the
            relay's own limit. A plain function cannot be interrupted: it continues in its thread.
    """

    def __init__(self, *, time_limit: timedelta = timedelta(seconds=10)) -> None:
        self._limit = time_limit.total_seconds()
        self._registered: list[tuple[frozenset[str], Subscriber]] = []
        # Threads of its own: a function that hangs must not use up those that the product itself needs.
        self._threads: ThreadPoolExecutor | None = None
        self._done: tuple[str, set[int]] = ("", set())

    @property
    def sinks(self) -> Sequence[Sink]:
        """Each subscriber as a sink, named after its function."""
        named: list[Sink] = []
        for number, (types, subscriber) in enumerate(self._registered):
            name = f"{JOINS}:{_place_of(subscriber)}"
            earlier = sum(sink.name.partition("#")[0] == name for sink in named)
            named.append(
                _Subscription(
                    name if not earlier else f"{name}#{earlier + 1}",
                    types=types,
                    call=partial(self._call, number),
                )
            )
        return named

    @property
    def is_empty(self) -> bool:
        """Whether there is no subscriber."""
        return not self._registered

    def on(self, pattern: str) -> Callable[[S], S]:
        """
        Register the decorated function for the events that *pattern* names.

        Args:
            pattern: An event type, a group of them (``auth.apikey.*``) or all (``*``).

        Raises:
            ValueError: There is no such event.
            TypeError: The function does not take one argument, the event.
        """
        types = _types_of(pattern)

        def register(subscriber: S) -> S:
            _refuse_unusable(subscriber)
            self._registered.append((types, subscriber))
            return subscriber

        return register

    async def deliver(self, event: Event) -> None:
        """
        Call, at the same time, every subscriber of the event that has not received it; for ``czo_auth.testing``.

        Raises:
            ExceptionGroup: Of `SubscriberFailed`.
        """
        if self._done[0] != event.id:
            self._done = event.id, set()
        done = self._done[1]
        due = [
            self._call(number, event)
            for number, (types, _) in enumerate(self._registered)
            if event.type in types and number not in done
        ]
        results = await asyncio.gather(*due, return_exceptions=True)
        faults = [fault for fault in results if isinstance(fault, SubscriberFailed)]
        if faults:
            raise ExceptionGroup("; ".join(map(str, faults)), faults)

    async def close(self) -> None:
        """Release the threads; those that still run something end with it."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _call(self, number: int, event: Event) -> None:
        subscriber = self._registered[number][1]
        clock = asyncio.timeout(self._limit)
        try:
            async with clock:
                await self._result(subscriber, event)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            reason = (
                f"no end within {self._limit:g} s" if clock.expired() else f"{type(error).__name__}: {error}"
            )
            raise SubscriberFailed(f"{_name_of(subscriber)}: {reason}") from error
        self._done[1].add(number)

    async def _result(self, subscriber: Subscriber, event: Event) -> None:
        if _is_coroutine_function(subscriber):
            await cast(Callable[[Event], Awaitable[None]], subscriber)(event)
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="czo-auth-subscriber")
        loop = asyncio.get_running_loop()
        returned: object = await loop.run_in_executor(self._threads, subscriber, event)
        # A plain function that returns a coroutine is recognized by its result.
        if inspect.isawaitable(returned):
            await returned


class _Subscription:
    """One subscriber as a sink."""

    policy: Final = SUBSCRIBER_POLICY
    joins: Final = JOINS

    def __init__(self, name: str, *, types: frozenset[str], call: Callable[[Event], Awaitable[None]]) -> None:
        self.name = name
        self._types = types
        self._call = call

    async def deliver(self, event: Event) -> None:
        if event.type in self._types:
            await self._call(event)


def _place_of(subscriber: Subscriber) -> str:
    return f"{getattr(subscriber, '__module__', '')}.{_name_of(subscriber)}"[:200]


def _refuse_unusable(subscriber: Subscriber) -> None:
    """Refuse a function that would fail at each event."""
    name = _name_of(subscriber)
    if not callable(subscriber):
        raise TypeError(f"{name} is not a function: a subscriber takes one argument, the event")
    try:
        inspect.signature(subscriber).bind(None)
    except TypeError:
        raise TypeError(f"{name} has to take one argument, the event") from None
    except ValueError:
        # The arguments of some functions in C cannot be inspected.
        return


def _is_coroutine_function(subscriber: Subscriber) -> bool:
    call = getattr(subscriber, "__call__", None)  # noqa: B004 - its kind is asked for, not whether it exists
    return inspect.iscoroutinefunction(subscriber) or inspect.iscoroutinefunction(call)


def _name_of(subscriber: Subscriber) -> str:
    return getattr(subscriber, "__qualname__", type(subscriber).__qualname__)


def _types_of(pattern: str) -> frozenset[str]:
    if pattern == "*":
        return EVENT_TYPES
    if pattern.endswith(".*"):
        found = frozenset(known for known in EVENT_TYPES if known.startswith(pattern[:-1]))
    else:
        found = EVENT_TYPES & {pattern}
    if not found:
        near = difflib.get_close_matches(pattern, EVENT_TYPES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(EVENT_TYPES))}"
        raise ValueError(f"no event is called {pattern!r}; {hint}")
    return found
