from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from czo_auth.core.events.types import EVENT_TYPES, Event
from czo_auth.delivery.subscribers import Subscribers
from tests.support.records import an_event


@pytest.fixture
async def subscribers() -> AsyncIterator[Subscribers]:
    """With a limit that no busy machine reaches."""
    subscribers = Subscribers(time_limit=timedelta(minutes=2))
    yield subscribers
    await subscribers.close()


@pytest.fixture
async def impatient() -> AsyncIterator[Subscribers]:
    """With a limit that a subscriber which never ends reaches soon."""
    subscribers = Subscribers(time_limit=timedelta(milliseconds=300))
    yield subscribers
    await subscribers.close()


@pytest.mark.parametrize(
    ("pattern", "served"),
    [
        ("auth.2fa.enabled", {"auth.2fa.enabled"}),
        ("auth.apikey.*", {type_ for type_ in EVENT_TYPES if type_.startswith("auth.apikey.")}),
        ("auth.*", EVENT_TYPES),
        ("*", EVENT_TYPES),
    ],
)
async def test_subscriber_gets_what_its_pattern_names(
    subscribers: Subscribers, pattern: str, served: frozenset[str]
) -> None:
    got = []

    @subscribers.on(pattern)
    async def keep(event: Event) -> None:
        got.append(event.type)

    for number, type_ in enumerate(sorted(EVENT_TYPES)):
        await subscribers.deliver(an_event(number, type=type_))
    assert got == sorted(served)


@pytest.mark.parametrize("pattern", ["", "auth", "auth.2fa", "auth.2fa.", "auth.2f*", ".*", "apikey.*", "**"])
def test_pattern_that_names_no_event_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="no event is called"):
        Subscribers().on(pattern)


def test_refusal_names_what_was_meant_or_all_there_is() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'auth\.2fa\.enabled'"):
        Subscribers().on("auth.2fa.enable")
    with pytest.raises(ValueError, match=r"there are: auth\.2fa\.backup_code_used, "):
        Subscribers().on("zzz")


async def test_decorated_function_stays_what_it_was(subscribers: Subscribers) -> None:
    assert subscribers.is_empty

    def keep(event: Event) -> None: ...

    assert subscribers.on("*")(keep) is keep
    assert not subscribers.is_empty


async def test_plain_function_runs_beside_the_event_loop(subscribers: Subscribers) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    @subscribers.on("*")
    def slow(event: Event) -> None:
        at_work.set()
        assert go_on.wait(60)

    delivery = asyncio.create_task(subscribers.deliver(an_event()))
    while not at_work.is_set():  # noqa: ASYNC110 - would never end if the function held up the loop
        await asyncio.sleep(0.001)
    assert not delivery.done()
    go_on.set()
    await delivery


async def test_coroutine_functions_in_disguise_are_awaited(subscribers: Subscribers) -> None:
    got = []

    async def keep(mark: str, event: Event) -> None:
        got.append(mark)

    class Subscriber:
        async def __call__(self, event: Event) -> None:
            got.append("object")

    subscribers.on("*")(functools.partial(keep, "partial"))
    subscribers.on("*")(lambda event: keep("lambda", event))
    subscribers.on("*")(Subscriber())
    await subscribers.deliver(an_event())
    assert sorted(got) == ["lambda", "object", "partial"]


async def test_only_the_subscriber_that_failed_gets_the_event_again(subscribers: Subscribers) -> None:
    got = []

    @subscribers.on("*")
    async def good(event: Event) -> None:
        got.append(("good", event.id))

    @subscribers.on("*")
    def bad(event: Event) -> None:
        got.append(("bad", event.id))
        if got.count(("bad", event.id)) < 3:
            raise KeyError("no such row")

    for _ in range(2):
        with pytest.raises(ExceptionGroup, match=r"bad: KeyError: 'no such row'"):
            await subscribers.deliver(an_event())
    await subscribers.deliver(an_event())
    assert sorted(got) == [("bad", "event-1")] * 3 + [("good", "event-1")]


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_subscriber_that_takes_too_long_has_failed(impatient: Subscribers, kind: str) -> None:
    go_on = threading.Event()

    async def hang(event: Event) -> None:
        await asyncio.sleep(60)

    def block(event: Event) -> None:
        go_on.wait(60)

    impatient.on("*")(hang if kind == "async" else block)
    with pytest.raises(ExceptionGroup, match=r"no end within 0\.3 s"):
        await impatient.deliver(an_event())
    go_on.set()


async def test_subscriber_that_was_cancelled_from_within_has_failed(subscribers: Subscribers) -> None:
    @subscribers.on("*")
    async def confused(event: Event) -> None:
        raise asyncio.CancelledError

    with pytest.raises(ExceptionGroup, match="confused: CancelledError"):
        await subscribers.deliver(an_event())


async def test_cancelled_delivery_cancels_the_subscribers(subscribers: Subscribers) -> None:
    ended = []
    begun = asyncio.Event()

    @subscribers.on("*")
    async def hang(event: Event) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(event.id)

    delivery = asyncio.create_task(subscribers.deliver(an_event()))
    await begun.wait()
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    assert ended == ["event-1"]
